//! Out because somebody wants it.

use crate::page::Section;
use crate::scene::Scene;

#[test]
fn an_app_is_out_for_as_long_as_somebody_wants() {
    let mut page = Section::of("Out on purpose");
    let scene = Scene::new();
    for _ in 0..4 {
        page.run(&scene);
    }
    scene.assert_out();
    page.run_rest(&scene);
    scene.assert_in();
}
