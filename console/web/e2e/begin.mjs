/** How a test gets to a page: the console of BASE_URL, or the stand-in of `mock/`; signed in, past the forced change of the password. */
import { changePassword, newPage, open, signIn } from './browser.mjs';
import { start } from './mock/server.mjs';

export const NEW_PASSWORD = process.env.NEW_PASSWORD ?? 'Trong-dong-Dong-Son-14';
const LOGIN = process.env.LOGIN ?? 'admin';
const FIRST = process.env.PASSWORD ?? 'first-Password-1';

/** True where the console is the real one: only it has roles, scopes and an event store. */
export const REAL = process.env.BASE_URL !== undefined;

/** Signs in as `login` in a page of its own; `first` is the password that must be changed, where it still is. */
export async function enter(browser, base, login = LOGIN, first = FIRST) {
  const { page, faults } = await newPage(browser);
  await signIn(page, base, login, NEW_PASSWORD);
  const clock = page.locator('[data-test=clock]');
  const refused = page.getByRole('alert');
  await clock.or(refused).first().waitFor();
  if ((await clock.count()) === 0) {
    await signIn(page, base, login, first);
    await page.locator('input[autocomplete=new-password]').first().waitFor();
    await changePassword(page, first, NEW_PASSWORD);
  }
  return { page, faults };
}

export async function begin() {
  const stand = REAL ? null : await start();
  const base = process.env.BASE_URL ?? stand.url;
  const browser = await open();
  const { page, faults } = await enter(browser, base);
  return { browser, stand, base, page, faults, end: async () => {
    await browser.close();
    stand?.stop();
  } };
}

/** Asks the console as the person of the page does. */
export function ask(page, method, path, body) {
  return page.evaluate(async ([how, where, what]) => {
    const { csrf_token } = await (await fetch('/api/v1/session')).json();
    const answer = await fetch(`/api/v1${where}`, { method: how, headers: { 'content-type': 'application/json', 'x-csrf-token': csrf_token }, ...(what === undefined ? {} : { body: JSON.stringify(what) }) });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
  }, [method, path, body]);
}
