// The browser of the browser tests: Debian's Chromium, or the one that CHROMIUM names.
// It is not downloaded: where it is missing, CI fails and a developer's run says so and goes on.
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** Whether to skip; prints why. In CI nothing is skipped, so that the launch fails there. */
export function chromiumIsMissing(): boolean {
  if (existsSync(executablePath)) return false;
  console.warn(
    `No browser at ${executablePath}: the browser tests do not run. ` +
      'Install it (apt-get install chromium), or name another one in CHROMIUM.',
  );
  return !process.env['CI'];
}

export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** Where the screenshots of this run go: SCREENSHOTS, or a new directory among the temporary files. */
export async function screenshotDirectory(): Promise<string> {
  return process.env['SCREENSHOTS'] ?? (await mkdtemp(path.join(tmpdir(), 'widget-store-screenshots-')));
}
