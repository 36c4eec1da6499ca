// Who has a turn when: rounds of one scenario, one contender at a time, until rounds, time or patience run out.
import { runTurn } from './contender.ts';
import type { Contender, Figures, Scenario } from './contract.ts';
import { withFreshDatabase } from './database.ts';
import type { Options } from './options.ts';
import { progress } from './progress.ts';
import { notMeasured, type ScenarioTurns, unitOf } from './report.ts';

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
  const { warmupSeconds, seconds, cpuProfiles } = options;
  const roundCount = Math.min(options.rounds, scenario.rounds ?? options.rounds);
  const rounds: Map<Contender, Figures>[] = [];
  const failures: ScenarioTurns['failures'] = [];
  const taking = scenario.contenders.filter((contender) => options.contenders.includes(contender));
  let contenders = [...taking].sort((a, b) => Number(b === 'bare') - Number(a === 'bare'));
  progress(`${scenario.id}  ${scenario.title}`);

  for (let round = 0; round < roundCount; round++) {
    const figures = new Map<Contender, Figures>();
    rounds.push(figures);
    // Pawl and bare Postgres are neighbours, since their ratio is the closest; the order is turned round each time.
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      if (interrupted.aborted || performance.now() > deadline) {
        const reason = interrupted.aborted ? 'interrupted' : 'the time budget is used up';
        progress(`  ${reason}`);
        failures.push({ contender, message: `${notMeasured} in round ${round + 1}: ${reason}.` });
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
        const { perSecond } = outcome.figures;
        const rate = perSecond === undefined ? '' : Math.round(perSecond).toLocaleString('en-US');
        progress(`${label} ${rate === '' ? 'done' : `${rate} ${unitOf(scenario, contender)}`}`);
        figures.set(contender, outcome.figures);
      }
    }
  }
  return { scenario, rounds, failures };
}
