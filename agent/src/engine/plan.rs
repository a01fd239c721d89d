//! What a run would do: the exact acts of every step, for `--dry-run`.

use serde::Serialize;

use super::Engine;
use crate::rotation::{Move, Rotation};
use crate::run::{Goal, Step};

/// One step with its acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The step.
    pub step: Step,
    /// Its acts, in order.
    pub acts: Vec<PlannedAct>,
}

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedAct {
    /// Where: a balancer, `redirect`, `gate`, `service`, `probe`.
    pub on: String,
    /// What, in the words of the tool that does it.
    pub what: String,
}

impl Engine<'_> {
    /// The plan of a run without trouble, after [`inspect`](Engine::inspect) has looked.
    pub fn plan(&mut self) -> Vec<Planned> {
        let drain = humantime::format_duration(self.app.drain.timeout);
        let wait = format!("wait until nothing is in flight, at most {drain}");
        let mut plan = Vec::new();
        let mut step = |step, acts: Vec<PlannedAct>| plan.push(Planned { step, acts });
        if self.request.goal != Goal::In {
            step(Step::Soften, self.balancer_acts(Move::Soften));
            step(Step::TakeOut, [self.balancer_acts(Move::TakeOut), self.port_acts(Move::TakeOut)].concat());
            let gate = self.ports.as_ref().map(|ports| ports.acts_close()).unwrap_or_default();
            step(Step::AwaitOut, gate.iter().map(|what| act("gate", what)).collect());
            step(Step::Drain, vec![act("witnesses", &wait)]);
        }
        if self.request.goal == Goal::Restart {
            step(Step::Restart, self.service.acts().iter().map(|what| act("service", what)).collect());
        }
        self.claim_entries();
        if self.request.goal != Goal::Out {
            step(Step::Ready, self.probes.iter().map(|probe| act("probe", &probe.probe.describe())).collect());
            step(Step::PutBack, [self.port_acts(Move::PutBack), self.balancer_acts(Move::PutBack)].concat());
            let hold = format!("the same process for {}", humantime::format_duration(self.app.hold));
            step(Step::AwaitIn, vec![act("witnesses", &hold)]);
        }
        plan
    }

    fn balancer_acts(&self, step: Move) -> Vec<PlannedAct> {
        let each = |rotation: &dyn Rotation| {
            let acts = rotation.acts(step);
            acts.iter().map(|what| act(rotation.place(), what)).collect::<Vec<_>>()
        };
        self.balancers.iter().flat_map(|balancer| each(&**balancer)).collect()
    }

    fn port_acts(&self, step: Move) -> Vec<PlannedAct> {
        let acts = self.ports.as_ref().map(|ports| ports.acts(step)).unwrap_or_default();
        acts.iter().map(|what| act("redirect", what)).collect()
    }
}

fn act(on: &str, what: &str) -> PlannedAct {
    PlannedAct { on: on.to_owned(), what: what.to_owned() }
}
