/** The forms of the administration, filled and sent as a person does. */
import assert from 'node:assert/strict';

const modal = (page) => page.locator('.ant-modal:visible').last();

async function openForm(page, base, tab) {
  await page.goto(`${base}/admin/${tab}`);
  await page.locator('[data-test=add]').click();
  await modal(page).locator('form').waitFor();
}

const fill = (page, name, text) => modal(page).locator(`#${name}`).fill(text);

/** Opens the menu of a field and takes its first entry, or the first that fits what is typed. */
async function choose(page, name, typed = '') {
  await modal(page).locator(`#${name}`).click();
  if (typed !== '') await page.keyboard.type(typed);
  await page.locator('.ant-select-dropdown:visible .ant-select-item-option').first().waitFor();
  await page.keyboard.press('Enter');
  // A menu of several stays open; a second press would take the choice back.
  await page.locator('.ant-select-dropdown:visible').waitFor({ state: 'hidden', timeout: 3000 }).catch(() => undefined);
}

async function send(page) {
  await modal(page).locator('button[type=submit]').click();
}

async function gone(page) {
  await page.locator('.ant-modal form').waitFor({ state: 'detached' });
}

/** One of each kind is made; `mark` keeps the names apart from those of another run. */
export async function administer(page, base, mark) {
  await openForm(page, base, 'agencies');
  await fill(page, 'id', `thu-${mark}`);
  await fill(page, 'name', `Đơn vị thử ${mark}`);
  await fill(page, 'name_en', `Trial agency ${mark}`);
  await send(page);
  await gone(page);
  await page.getByText(`Đơn vị thử ${mark}`).first().waitFor();

  await openForm(page, base, 'assets');
  await fill(page, 'text', `organization,name,address,host,level,owner\nthu-${mark},Máy chủ thử ${mark},192.0.2.77,,3,\n`);
  await send(page);
  await gone(page);

  await openForm(page, base, 'users');
  await fill(page, 'login', `thu.${mark}`);
  await fill(page, 'full_name', `Người thử ${mark}`);
  await send(page);
  const password = await page.locator('[data-test=first-password]').textContent();
  assert.ok(password.length >= 14);
  await page.keyboard.press('Escape');

  await openForm(page, base, 'keys');
  await fill(page, 'source_name', `khoa-${mark}`);
  await choose(page, 'organization', mark);
  await send(page);
  assert.ok((await page.locator('[data-test=key-secret]').textContent()).length > 10);
  await page.keyboard.press('Escape');

  await openForm(page, base, 'sources');
  await fill(page, 'name', `nguon-${mark}`);
  await choose(page, 'organization', mark);
  await fill(page, 'address', '192.0.2.78');
  await choose(page, 'listener', '');
  await fill(page, 'expected_per_hour', '1200');
  await fill(page, 'clock_offset_ms', '-1500');
  await fill(page, 'owner', 'Phòng CNTT, 0243 000 000');
  const [sent] = await Promise.all([page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/sources')), send(page)]);
  const { listener, expected_per_hour, clock_offset_ms, owner } = sent.postDataJSON();
  assert.deepEqual([listener, expected_per_hour, clock_offset_ms, owner], ['udp', 1200, -1500, 'Phòng CNTT, 0243 000 000']);
  await gone(page);
  await page.getByText(`nguon-${mark}`).first().waitFor();

  await openForm(page, base, 'channels');
  await fill(page, 'name', `kenh-${mark}`);
  await choose(page, 'kind', '');
  await fill(page, 'host', 'mail.example');
  await fill(page, 'from', 'soc@example.org');
  await fill(page, 'to', 'truc@example.org, lanh-dao@example.org');
  await send(page);
  await gone(page);
  await page.getByText('truc@example.org, lanh-dao@example.org').waitFor();
}

/** A channel is tried: what came of it is told. */
export async function tryChannel(page, base, mark) {
  await page.goto(`${base}/admin/channels`);
  const line = page.locator('tr', { hasText: `kenh-${mark}` });
  await line.locator('[data-test=try]').click();
  await page.locator('.ant-message-error, .ant-message-success').first().waitFor();
}

/** A refusal that names a field stands at that field. */
export async function refusedField(page, base) {
  await page.route('**/api/v1/notifications', (route) => (route.request().method() === 'POST'
    ? route.fulfill({ status: 422, contentType: 'application/json', body: JSON.stringify({ status: 422, code: 'invalid', field: 'settings.host', message_vi: 'Máy chủ thư không hợp lệ.', message_en: 'No such host.', request_id: 'x' }) })
    : route.fallback()));
  await openForm(page, base, 'channels');
  await fill(page, 'name', 'kenh-sai');
  await fill(page, 'host', 'khong co');
  await fill(page, 'from', 'soc@example.org');
  await fill(page, 'to', 'truc@example.org');
  await send(page);
  const told = page.locator('.ant-form-item-has-error:has(#host)');
  await told.getByText('Máy chủ thư không hợp lệ.').waitFor();
  await page.unrouteAll();
}

/** A token for a sensor, up to the command that is shown. */
export async function enrol(page, base, mark) {
  await page.goto(`${base}/sensors`);
  await page.locator('[data-test=enrol]').click();
  await modal(page).locator('form').waitFor();
  await choose(page, 'organization', mark);
  await fill(page, 'node', `dau-moi-${mark}`);
  await send(page);
  const command = await page.locator('[data-test=enrol-command]').textContent();
  assert.match(command, /^dongson-sensor enrol https:\/\/\S+ dst1\.\S+ --data \S+$/);
  await page.locator('[data-test=enrol-state][data-state=waiting]').waitFor();
  return command;
}
