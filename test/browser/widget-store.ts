// The widget store in a real browser: a person buys, presses a crash button at every step in turn, and in the end
// there is one order, one dispatch and the right stock.
import path from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test, vi } from 'vitest';
import { type CrashMoment, crashPoints } from '../../examples/widget-store/src/crash-points.ts';
import type { Shop } from '../../examples/widget-store/src/shop.ts';
import { type RunningShop, startShop } from '../../examples/widget-store/src/start-shop.ts';
import { chromiumIsMissing, launchChromium, screenshotDirectory } from './chromium.ts';

const STAGES = ['pick', 'pack', 'ship', 'deliver'];

/** One moment of each step, another one from step to step and from shop to shop; of every `nth` step. */
const pointsOf = (offset: number, nth: number) =>
  crashPoints
    .map(({ workflow, step, moments }, index) => {
      const when = moments[(index + offset) % moments.length] as CrashMoment;
      return [when, step, workflow] as const;
    })
    .filter((_, index) => index % nth === 0);

const describeInBrowser = describe.skipIf(chromiumIsMissing());

export function describeWidgetStore(kind: {
  server: 'express' | 'koa';
  database: 'embedded' | 'server';
  /** Which steps this run crashes at, and at which moment of each; see pointsOf. */
  offset: number;
  nth: number;
}): void {
  describeInBrowser(`widget store on ${kind.server}, ${kind.database} database`, { timeout: 90_000 }, () => {
    let database: TestDatabase | undefined;
    let shop: RunningShop;
    let browser: Browser;
    let context: BrowserContext;
    let page: Page;
    let screenshots: string;
    let complaints: string[];

    beforeAll(async () => {
      screenshots = await screenshotDirectory();
      database = kind.database === 'server' ? await createDatabase() : undefined;
      shop = await startShop({
        server: kind.server,
        ...(database ? { databaseURL: database.url } : {}),
        env: { STAGE_MILLISECONDS: '40' },
      });
      browser = await launchChromium();
      console.log(`Screenshots of the shop on ${kind.server}: ${screenshots}`);
    });

    afterAll(async () => {
      await browser?.close();
      await shop?.stop();
      await database?.drop();
    });

    beforeEach(async () => {
      onTestFailed(() => console.log(shop.log.slice(-60).join('\n')));
      complaints = [];
      context = await browser.newContext({
        viewport: { width: 1280, height: 900 },
        reducedMotion: 'reduce',
      });
      page = await context.newPage();
      page.on('pageerror', (error) => complaints.push(String(error)));
      page.on('console', (message) => {
        if (message.text().includes('Content Security Policy')) complaints.push(message.text());
      });
      await open();
      return async () => {
        await context.close();
        expect(complaints).toEqual([]);
      };
    });

    async function open(): Promise<void> {
      await page.goto(shop.url);
      await page.locator('#process[data-state=up]').waitFor();
      await page.getByRole('button', { name: 'Crash before reserve' }).waitFor();
      await page.locator('#price', { hasText: '$49.00' }).waitFor();
    }

    async function read(): Promise<Shop> {
      const response = await vi.waitUntil(async () => {
        const answer = await fetch(`${shop.url}/shop`);
        return answer.ok && answer;
      }, 30_000);
      return (await response.json()) as Shop;
    }

    async function decide(decision: 'Pay' | 'Cancel'): Promise<string> {
      await page.waitForURL('**/provider/pay/**');
      await page.getByRole('button', { name: new RegExp(`^${decision}`) }).click();
      await page.waitForURL('**/?order=*');
      return new URL(page.url()).searchParams.get('order') ?? '';
    }

    async function expectEnd(reference: string, end: 'Delivered' | 'Cancelled'): Promise<void> {
      await page.locator(`[data-reference="${reference}"]`).locator('.chip', { hasText: end }).waitFor();
    }

    function shoot(name: string, fullPage = true): Promise<Buffer> {
      return page.screenshot({ path: path.join(screenshots, `${kind.server}-${name}.png`), fullPage });
    }

    test('an empty shop says so, and has a hundred widgets', async () => {
      await expect.poll(() => page.locator('#stock').textContent(), { timeout: 10_000 }).toBe('100 in stock');
      expect(await page.getByText('No orders yet').isVisible()).toBe(true);
      await shoot('empty');
    });

    test.each(pointsOf(kind.offset, kind.nth))(
      'dies %s "%s" of %s, and it is one order all the same',
      async (when, step) => {
        const before = await read();
        const processes = shop.processes;
        const cancels = step === 'cancel order';

        await page.getByRole('button', { name: `Crash ${when} ${step}`, exact: true }).click();
        await page.getByText(`the process dies ${when} “${step}”`).waitFor();
        await page.getByRole('button', { name: 'Buy' }).dblclick();
        const reference = await decide(cancels ? 'Cancel' : 'Pay');
        await expectEnd(reference, cancels ? 'Cancelled' : 'Delivered');

        // The shop may have been killed by the very last step: the books are read from whoever comes after it.
        await expect.poll(() => shop.processes, { timeout: 30_000 }).toBe(processes + 1);
        await page.locator('#process[data-state=up]').waitFor();
        const after = await read();
        const made = after.orders.filter(({ id }) => !before.orders.some((order) => order.id === id));
        expect(made.map((order) => order.reference)).toEqual([reference]);
        expect(made[0]?.stages).toEqual(cancels ? [] : STAGES);
        expect(after.books).toEqual({
          supplied: before.books.supplied,
          stock: before.books.stock - (cancels ? 0 : 1),
          ordered: before.books.ordered + (cancels ? 0 : 1),
          reserved: 0,
        });
      },
    );

    test('a reload in the middle of a purchase goes on with the same key', async () => {
      const before = await read();
      await page.getByRole('button', { name: 'Crash after create order', exact: true }).click();
      await page.getByText('the process dies').waitFor();
      await page.getByRole('button', { name: 'Buy' }).click();
      await page.locator('#banner[data-tone=bad]').waitFor();
      await shoot('down', false);
      await page.reload();
      await expectEnd(await decide('Pay'), 'Delivered');
      expect((await read()).books.ordered).toBe(before.books.ordered + 1);
    });

    test('a payment made while the shop is down is known to it afterwards', async () => {
      await page.getByRole('button', { name: 'Buy' }).click();
      await page.waitForURL('**/provider/pay/**');
      await shoot('payment', false);
      shop.kill();
      const reference = await decide('Pay');
      await expectEnd(reference, 'Delivered');
      await page.locator(`[data-reference="${reference}"] summary`).click();
      await page.locator(`[data-reference="${reference}"] .journal`).getByText('deliver').first().waitFor();
      await shoot('orders');
    });

    test('a crash button kills the process at once, the page says so, and says when it is back', async () => {
      const processes = shop.processes;
      await page.getByRole('button', { name: 'Crash now' }).click();
      await page.getByText(`process ${processes} died. Process ${processes + 1} is on its way`).waitFor();
      await page.getByText(`Back: process ${processes + 1} goes on`).waitFor();
      await expect
        .poll(() => page.locator('#lines').textContent(), { timeout: 10_000 })
        .toContain(`process ${processes} died: SIGKILL`);
    });

    test('an order that waits for its payment can be paid from the list', async () => {
      await page.getByRole('button', { name: 'Buy' }).click();
      await page.waitForURL('**/provider/pay/**');
      const payment = page.url();
      await open();
      await page.getByRole('button', { name: 'Pay', exact: true }).click();
      expect(await page.waitForURL('**/provider/pay/**').then(() => page.url())).toBe(payment);
      await expectEnd(await decide('Cancel'), 'Cancelled');
    });

    test('restocking adds ten, once, even when the shop dies meanwhile', async () => {
      const { books } = await read();
      await page.getByRole('button', { name: 'Restock' }).click();
      await page.getByText(`${books.stock + 10} in stock.`).waitFor();
      shop.kill();
      await page.getByRole('button', { name: 'Restock' }).click();
      await page.getByText(`${books.stock + 20} in stock.`).waitFor();
      expect((await read()).books).toMatchObject({
        stock: books.stock + 20,
        supplied: books.supplied + 20,
      });
    });

    test('works with the keyboard alone', async () => {
      await page.getByRole('button', { name: 'Buy' }).focus();
      await page.keyboard.press('Enter');
      await page.waitForURL('**/provider/pay/**');
      await page.locator('button:focus').waitFor(); // the confirming one has the focus once the page is there
      await page.keyboard.press('Enter');
      await page.waitForURL('**/?order=*');
      await expectEnd(new URL(page.url()).searchParams.get('order') ?? '', 'Delivered');
    });

    test('fits a phone and the night', async () => {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width: 1280, height: 900 });
        await shoot(colorScheme);
        await page.setViewportSize({ width: 390, height: 844 });
        await shoot(`phone-${colorScheme}`);
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
      }
      const unnamed = await page
        .locator('button')
        .evaluateAll(
          (buttons) =>
            buttons.filter((button) => !button.textContent?.trim() && !button.getAttribute('aria-label'))
              .length,
        );
      expect(unnamed).toBe(0);
    });
  });
}
