//! What `xent train` refuses before it reads a row: options that contradict each other, and options that would do nothing.
//!
//! An option that is given is meant to change something. Where it cannot, the user believes in a model that was not
//! fitted, so it is an error rather than silence. `--seed` may always be given: it asks for the same result again,
//! which is what one gets.

use clap::ValueEnum;

use crate::Failure;
use crate::train_args::{SolverArg, TrainArgs};
use crate::train_files::check_extension;

/// Refuses options that contradict each other, do nothing, or name files of another kind.
pub fn check(args: &TrainArgs) -> Result<(), Failure> {
    let losses = &args.loss;
    if losses.len() > 2 || losses.len() == 2 && losses[0] == losses[1] {
        return Err(Failure::usage("--loss names a loss twice")
            .with_hint("write --loss cross-entropy,mse to compare the two"));
    }
    if losses.len() == 2 && (args.oof.is_some() || args.output.is_some()) {
        return Err(Failure::usage("two losses give two models, and one file is named")
            .with_hint("name one --loss to write a model or predictions"));
    }
    if losses.len() == 2 && (args.checkpoint.is_some() || args.resume.is_some()) {
        return Err(Failure::usage("two losses are two fits, and a checkpoint is of one")
            .with_hint("name one --loss"));
    }
    refuse_idle(args)?;
    refuse_twice("--reference", &args.reference)?;
    refuse_twice("--penalty-factor", &args.penalty_factor)?;
    if let Some(path) = &args.plot {
        check_extension("--plot", path, "svg")?;
    }
    if let Some(path) = &args.history {
        check_extension("--history", path, "csv")?;
    }
    Ok(())
}

/// Refuses options about what there is not.
fn refuse_idle(args: &TrainArgs) -> Result<(), Failure> {
    let of = |x: Option<f64>| x.is_some_and(|x| x > 0.0);
    let about = |what: &str, lacks: &str, hint: &str, given: &[(&str, bool)]| {
        let Some((option, _)) = given.iter().find(|(_, is_given)| *is_given) else { return Ok(()) };
        Err(Failure::usage(format!("{option} is about {what}, and {lacks}")).with_hint(hint))
    };
    if args.holdout.is_none() && args.folds.is_none() {
        about(
            "testing",
            "nothing is tested",
            "add --folds 10, or --holdout 0.2",
            &[
                ("--oof", args.oof.is_some()),
                ("--group", args.group.is_some()),
                ("--time", args.time.is_some()),
                ("--level", args.level.is_some()),
            ],
        )?;
    }
    if !(of(args.l2) || of(args.l1) || args.c.is_some()) {
        about(
            "the penalty",
            "there is none",
            "add one, as in --l2 0.01, --l1 0.01 or --C 1, or leave the option out",
            &[
                ("--penalty-factor", !args.penalty_factor.is_empty()),
                ("--no-standardize", args.no_standardize),
            ],
        )?;
    }
    let of_solvers = |option: &str, is_given: bool, solvers: &[SolverArg]| {
        if !is_given || solvers.contains(&args.solver) {
            return Ok(());
        }
        let name = |solver: &SolverArg| {
            solver.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
        };
        let names: Vec<String> = solvers.iter().map(name).collect();
        let (last, first) = names.split_last().map_or(("", &[][..]), |(a, b)| (a.as_str(), b));
        let names = if first.is_empty() {
            last.to_owned()
        } else {
            format!("{} and {last}", first.join(", "))
        };
        Err(Failure::usage(format!(
            "{option} is an option of {names}, and the solver is {}",
            name(&args.solver)
        ))
        .with_hint(format!("leave it out, or choose the solver with --solver {last}")))
    };
    let steps = [SolverArg::Saga, SolverArg::Sgd, SolverArg::Gd];
    of_solvers("--learning-rate", args.learning_rate.is_some(), &steps)?;
    of_solvers("--batch", args.batch.is_some(), &[SolverArg::Sgd])
}

/// Refuses a second word about the same column or class.
pub fn refuse_twice<T>(option: &str, pairs: &[(String, T)]) -> Result<(), Failure> {
    for (i, (name, _)) in pairs.iter().enumerate() {
        if pairs[..i].iter().any(|(other, _)| other == name) {
            return Err(Failure::usage(format!("{option} says two things of {name}"))
                .with_hint("keep one of them"));
        }
    }
    Ok(())
}
