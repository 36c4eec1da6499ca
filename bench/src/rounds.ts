// Who has a turn when: rounds of one scenario, one contender at a time, until rounds, time or patience run out.
import { runTurn } from './contender.ts';
import type { Contender, Figures, Scenario } from './contract.ts';
import { withFreshDatabase } from './database.ts';
import type { Options } from './options.ts';
import { progress } from './progress.ts';
import { type ScenarioTurns, unitOf } from './report.ts';

export interface Limits {
  /** No turn begins after this moment of `performance.now()`. */
  deadline: number;
  /** Ends the turn under way as well. */
  interrupted: AbortSignal;
}

export async function runScenario(
  scenario: Scenario,
  options: Options,
  serverUrl: string,
  { deadline, interrupted }: Limits,
): Promise<ScenarioTurns> {
  const { rounds: roundCount, warmupSeconds, seconds, cpuProfiles } = options;
  const rounds: Map<Contender, Figures>[] = [];
  const failures: ScenarioTurns['failures'] = [];
  let contenders = scenario.contenders.filter((contender) => options.contenders.includes(contender));
  progress(`${scenario.id}  ${scenario.title}`);

  for (let round = 0; round < roundCount; round++) {
    const figures = new Map<Contender, Figures>();
    rounds.push(figures);
    // Another one begins each round, so that no contender always follows the same neighbour.
    for (const contender of rotate(contenders, round)) {
      if (interrupted.aborted || performance.now() > deadline) {
        const reason = interrupted.aborted ? 'interrupted' : 'the time budget is used up';
        progress(`  ${reason}`);
        failures.push({ contender, message: `Not measured in round ${round + 1}: ${reason}.` });
        return { scenario, rounds, failures };
      }
      const outcome = await withFreshDatabase(serverUrl, (databaseUrl) =>
        runTurn(
          { scenario: scenario.id, contender, turn: { databaseUrl, warmupSeconds, seconds } },
          {
            signal: interrupted,
            minutes: scenario.minutes,
            cpuProfiles: contender === 'pawl' ? cpuProfiles : undefined,
          },
        ),
      );
      const label = `  round ${round + 1}/${roundCount}  ${contender.padEnd(15)}`;
      if ('failure' in outcome) {
        progress(`${label} FAILED: ${outcome.failure}`);
        failures.push({ contender, message: outcome.failure });
        // It would only fail again.
        contenders = contenders.filter((each) => each !== contender);
      } else {
        const perSecond = Math.round(outcome.figures['perSecond'] ?? Number.NaN);
        progress(`${label} ${perSecond.toLocaleString('en-US')} ${unitOf(scenario, contender)}`);
        figures.set(contender, outcome.figures);
      }
    }
  }
  return { scenario, rounds, failures };
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const offset = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(offset), ...items.slice(0, offset)];
}
