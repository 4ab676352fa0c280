/** Debian's Chromium under playwright-core, quiet and without the network. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Where screenshots are kept; none are made without it. */
const SHOTS = process.env.SCREENSHOTS ?? '';

export async function open() {
  return chromium.launch({
    executablePath: PROGRAM,
    args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-default-apps', '--disable-sync', '--no-first-run', '--disable-gpu', '--disable-dev-shm-usage'],
  });
}

/** A page that remembers what went wrong in it: console errors, failed scripts, refused resources. */
export async function newPage(browser, viewport = { width: 1366, height: 768 }) {
  const context = await browser.newContext({ viewport, ignoreHTTPSErrors: true, timezoneId: 'Asia/Ho_Chi_Minh', locale: 'vi-VN', permissions: ['clipboard-read', 'clipboard-write'] });
  const page = await context.newPage();
  page.setDefaultTimeout(45_000);
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    // An expected refusal (nobody signed in, a wrong password; 502: a channel that was tried in vain) is logged by the browser itself.
    if (message.type() === 'error' && !/the server responded with a status of (4|502)/.test(message.text())) faults.push(message.text());
  });
  return { page, faults };
}

/** Keeps a picture of the page under `name`, after the fonts are there and nothing is loading. */
export async function shot(page, name) {
  if (SHOTS === '') return;
  await page.evaluate(() => document.fonts.ready);
  await page.waitForFunction(() => document.querySelector('.skeleton') === null);
  const { width } = page.viewportSize();
  const language = await page.evaluate(() => document.documentElement.lang);
  const shade = await page.evaluate(() => document.documentElement.dataset.theme);
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}-${width}-${language}-${shade}.png`), animations: 'disabled' });
}

export async function signIn(page, base, login, password) {
  await page.goto(base);
  await page.locator('input[autocomplete=username]').fill(login);
  await page.locator('input[autocomplete=current-password]').fill(password);
  await page.keyboard.press('Enter');
}

/** The forced change of the first password, where it is asked for. */
export async function changePassword(page, present, wanted) {
  await page.locator('input[autocomplete=new-password]').first().waitFor();
  await shot(page, 'password');
  await page.locator('input[autocomplete=current-password]').fill(present);
  await page.locator('input[autocomplete=new-password]').nth(0).fill(wanted);
  await page.locator('input[autocomplete=new-password]').nth(1).fill(wanted);
  await page.keyboard.press('Enter');
  await page.locator('[data-test=clock]').waitFor();
}
