//! A command as a list of named steps: the first that fails ends it, and a table at the end says what took how long.

use crate::shell::{Outcome, Stopwatch};

/// One line of the table.
pub(crate) struct Step {
    name: &'static str,
    work: Box<dyn FnOnce() -> Outcome>,
}

impl Step {
    pub(crate) fn new(name: &'static str, work: impl FnOnce() -> Outcome + 'static) -> Self {
        Self { name, work: Box::new(work) }
    }
}

/// Runs the steps in their order.
pub(crate) fn run(steps: Vec<Step>) -> Outcome {
    let count = steps.len();
    let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
    let whole = Stopwatch::start();
    let mut lines = Vec::with_capacity(count);
    let mut outcome = Ok(());

    for (index, step) in steps.into_iter().enumerate() {
        println!("\n==> {} ({} of {count})", step.name, index + 1);
        let watch = Stopwatch::start();
        let result = (step.work)();
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        lines.push(line(step.name, verdict, &watch.read()));
        if let Err(reason) = result {
            outcome = Err(format!("step \"{}\": {reason}", step.name));
            break;
        }
    }

    lines.extend(names[lines.len()..].iter().map(|name| line(name, "not run", "")));
    println!("\n==> {}", if outcome.is_ok() { "all steps passed" } else { "a step failed" });
    println!("{}", lines.join("\n"));
    println!("{}", line("together", "", &whole.read()));
    outcome
}

fn line(name: &str, verdict: &str, time: &str) -> String {
    format!("    {name:<36} {verdict:<8} {time:>12}").trim_end().to_owned()
}
