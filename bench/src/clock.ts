// A clock that the processes of a turn share: the machine's monotonic one, which has one zero for all of them.
export function sharedMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
