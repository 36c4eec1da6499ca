// Stripe's scheme, checked against the official package: headers that it makes are taken, what it refuses is refused.
import { verify } from '@pawl/core/http';
import { Stripe } from 'stripe';
import { expect, test } from 'vitest';

const SECRETS = { previous: 'whsec_previous', current: 'whsec_current' };
const NOW = 1_700_000_000;
const now = new Date(NOW * 1_000);
const stripe = new Stripe('sk_test_none');
const verifier = verify.stripe({ secrets: SECRETS });

const headerOf = (payload: string, secret: string, timestamp = NOW): string =>
  stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });

const ours = (payload: string, header: string) =>
  verifier.verify({ headers: { 'stripe-signature': header }, raw: Buffer.from(payload), now });

const theirs = (payload: string, header: string, secret: string): boolean => {
  try {
    stripe.webhooks.constructEvent(payload, header, secret, 300, undefined, now.getTime());
    return true;
  } catch {
    return false;
  }
};

const EVENT = JSON.stringify({
  id: 'evt_1',
  object: 'event',
  type: 'charge.succeeded',
  data: { object: {} },
});

test("headers that the package makes are taken, under each secret, and the id and type are the body's", async () => {
  for (const [name, secret] of Object.entries(SECRETS))
    for (const payload of [EVENT, '{"id":"caf\u00e9 \u{1F642}"}', ` ${EVENT}\n`]) {
      const header = headerOf(payload, secret);
      expect(theirs(payload, header, secret)).toBe(true);
      expect(await ours(payload, header)).toEqual({ valid: true, matchedSecret: name, timestamp: now });
    }
  const delivery = { headers: {}, raw: Buffer.from(EVENT), now };
  expect(verifier.identify(delivery, JSON.parse(EVENT))).toEqual({ id: 'evt_1', type: 'charge.succeeded' });
});

test('so is the one of several that an endpoint sends while its secret is rolled, beside the v0 of test mode', async () => {
  const [, old] = headerOf(EVENT, 'whsec_gone').split(',v1=');
  const header = headerOf(EVENT, SECRETS.current).replace(',v1=', `,v1=${old},v1=`);
  for (const given of [header, `${header},v0=${old}`]) {
    expect(theirs(EVENT, given, SECRETS.current)).toBe(true);
    expect(await ours(EVENT, given)).toMatchObject({ valid: true, matchedSecret: 'current' });
  }
});

test.each<[string, (header: string) => [payload: string, header: string]]>([
  ['another body', (header) => [`${EVENT} `, header]],
  ['another secret', () => [EVENT, headerOf(EVENT, 'whsec_other')]],
  ['another time', (header) => [EVENT, header.replace(/t=\d+/, `t=${NOW - 1}`)]],
  ['too old', () => [EVENT, headerOf(EVENT, SECRETS.current, NOW - 301)]],
  ['only v0', (header) => [EVENT, header.replace('v1=', 'v0=')]],
  ['no time', (header) => [EVENT, header.replace(/t=\d+,/, '')]],
  ['no signature', () => [EVENT, `t=${NOW}`]],
  ['nothing', () => [EVENT, '']],
])('both refuse %s', async (_, change) => {
  const [payload, header] = change(headerOf(EVENT, SECRETS.current));
  expect(theirs(payload, header, SECRETS.current)).toBe(false);
  expect(await ours(payload, header)).toMatchObject({ valid: false });
});

test('a time ahead, which the package takes, is refused beyond 300 s', async () => {
  expect(await ours(EVENT, headerOf(EVENT, SECRETS.current, NOW + 300))).toMatchObject({ valid: true });
  const ahead = headerOf(EVENT, SECRETS.current, NOW + 301);
  expect(theirs(EVENT, ahead, SECRETS.current)).toBe(true);
  expect(await ours(EVENT, ahead)).toMatchObject({ valid: false });
});
