// A limit to how long somebody waits. What is waited for goes on, and is nobody's any more.

/** Resolves when the promise does, or after so long; with a text for an error, rejects then. */
export async function atMost(promise: Promise<unknown>, ms: number, error?: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => (error === undefined ? resolve(undefined) : reject(new Error(error))), ms);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    promise.catch(() => {});
  }
}
