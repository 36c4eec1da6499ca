// What tests of an application import: a database of their own, a clock that they hold, crashes at named points,
// and the replay of histories. Never part of what runs in production.

export { crashAt, type CrashMoment, type CrashPoint } from './crash-at.ts';
export { exportHistory, type History } from './history.ts';
export { replay, type ReplayResult } from './replay.ts';
export { TestClock } from './test-clock.ts';
export { testDatabase, type TestDatabase, type TestDatabaseOptions } from './test-database.ts';
