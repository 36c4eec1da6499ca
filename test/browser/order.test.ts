// The widget store's other customer: a script that does not wait.
import { createDatabase } from '@pawl/test-support';
import { expect, test } from 'vitest';
import { order } from '../../examples/widget-store/src/order.ts';
import { startShop } from '../../examples/widget-store/src/start-shop.ts';

test('a script orders without waiting, and follows its order over a crash until it is delivered', async () => {
  const database = await createDatabase();
  const shop = await startShop({ databaseURL: database.url, env: { STAGE_MILLISECONDS: '300' } });
  try {
    const lines: string[] = [];
    await order(shop.url, (line) => {
      lines.push(line);
      if (line.startsWith('progress 1/4')) shop.kill();
    });
    expect(lines).toEqual([
      expect.stringMatching(/^202 \/workflows\/\S+$/),
      expect.stringMatching(/^201 order \S+$/),
      expect.stringMatching(/^200 \{"reference":"\S+","paid":true\}$/),
      'progress 1/4 pick',
      'progress 2/4 pack',
      'progress 3/4 ship',
      'progress 4/4 deliver',
    ]);
    expect(shop.processes).toBe(2);
  } finally {
    await shop.stop();
    await database.drop();
  }
}, 60_000);
