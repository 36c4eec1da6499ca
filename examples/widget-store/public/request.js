// A POST that is sent again, with the same Idempotency-Key, until there is a final answer.
// However often it is sent, and whoever crashes in between, the server does its work once.

const PAUSES_MILLISECONDS = [300, 500, 800, 1200, 2000];

export function newKey() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Gives { ok, status, body }. `onTrouble` is called with the number of failed tries so far. */
export async function postUntilAnswered(path, { key, body, onTrouble = () => {} }) {
  for (let tries = 1; ; tries += 1) {
    const answer = await tryOnce(path, key, body);
    if (answer) return answer;
    onTrouble(tries);
    await new Promise((resolve) =>
      setTimeout(resolve, PAUSES_MILLISECONDS[Math.min(tries, PAUSES_MILLISECONDS.length) - 1]),
    );
  }
}

async function tryOnce(path, key, body) {
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': `"${key}"` },
      body: JSON.stringify(body ?? {}),
    });
    const content = await response.json();
    // 202: the shop is still at work on it. A problem says itself whether the same request may succeed later.
    const isFinal = response.status !== 202 && !content.retryable;
    return isFinal ? { ok: response.ok, status: response.status, body: content } : null;
  } catch {
    return null; // no answer, or half of one
  }
}
