/** Packets for an incident: asked for, a colleague's question approved, the file offered. Over the stand-in, whose sensors answer at once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { shot } from './browser.mjs';
import { begin, REAL } from './begin.mjs';

let at;
let page;

const modal = () => page.locator('.ant-modal:visible').last();

before(async () => {
  if (REAL) return;
  at = await begin();
  ({ page } = at);
});
after(() => at?.end());

test('packets are asked for by one and approved by another', { skip: REAL }, async () => {
  await page.goto(`${at.base}/incidents`);
  await page.locator('table.list tbody tr').first().click();
  await page.locator('[data-test=incident-number]').waitFor();
  await page.getByRole('tab', { name: 'Gói tin' }).click();
  await page.locator('[data-test=ask-packets]').click();
  await modal().locator('#sensor').click();
  await page.locator('.ant-select-dropdown:visible .ant-select-item-option').first().waitFor();
  await page.keyboard.press('Enter');
  await modal().locator('#filter').fill('no such words');
  await modal().locator('#reason').fill('Xác minh dữ liệu bị lấy ra ngoài');
  await modal().locator('button[type=submit]').click();
  // What the console refuses stands at its field, and nothing that was typed is lost.
  await modal().locator('.ant-form-item-explain-error').waitFor();
  assert.equal(await modal().locator('#reason').inputValue(), 'Xác minh dữ liệu bị lấy ra ngoài');
  await shot(page, 'ask-packets');
  await modal().locator('#filter').fill('host 10.1.2.3 and tcp port 443');
  await modal().locator('button[type=submit]').click();

  const rows = page.locator('[data-test=packets-row]');
  await rows.nth(1).waitFor();
  // One's own question cannot be approved, only taken back.
  assert.equal(await rows.nth(1).locator('.ant-btn-primary').count(), 0);
  await rows.nth(0).locator('.ant-btn-primary').click();
  await rows.nth(0).locator('a[download]').waitFor();
  assert.match(await rows.nth(0).locator('a[download]').getAttribute('href'), /\/api\/v1\/packets\/[^/]+\/pcap$/);
  await rows.nth(1).locator('.ant-btn').click();
  await page.locator('.ant-modal-confirm input').fill('Không cần nữa');
  await page.locator('.ant-modal-confirm .ant-btn-dangerous').click();
  await rows.nth(1).locator('[data-test=packets-state]', { hasText: 'Đã hủy' }).waitFor();
  await shot(page, 'packets');
  assert.deepEqual(at.faults, []);
});
