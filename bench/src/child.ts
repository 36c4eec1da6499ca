// The process in which one turn of one contender runs. Its only argument is the assignment, its only answer one
// message with the figures or the failure.
import type { Assignment, Outcome } from './contender.ts';
import { pointNamed } from './growth/curves.ts';
import { scenarios } from './scenarios/index.ts';

async function runAssignment(): Promise<Outcome> {
  try {
    const assignment = JSON.parse(process.argv[2] ?? '') as Assignment;
    const scenario =
      scenarios.find((each) => each.id === assignment.scenario) ?? pointNamed(assignment.scenario);
    if (scenario === undefined) throw new Error(`There is no scenario ${assignment.scenario}.`);
    return { figures: await scenario.turn(assignment.contender, assignment.turn) };
  } catch (error) {
    return { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

// A contender that leaves a timer or a connection behind must not keep the run waiting.
process.send?.(await runAssignment(), () => process.exit(0));
