/** One way to the console: same origin, session cookie, CSRF token on what changes, problems as `ApiError`. */

/** A request that failed: `status` 0 means that no answer came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly messageVi: string,
    readonly messageEn: string,
    readonly requestId: string,
    /** The field of the request that is wrong, or empty. */
    readonly field = '',
    /** What exactly went wrong, in the words of another machine, or empty. */
    readonly detail = '',
  ) {
    super(`${status} ${code}`);
  }
}

const CSRF_HEADER = 'x-csrf-token';
const BASE = '/api/v1';

let csrf = '';
let signedOut: () => void = () => undefined;

/** The token that the console gave with the session. */
export function keepCsrf(token: string): void {
  csrf = token;
}

/** Called when the console says that the session is over. */
export function onSignedOut(call: () => void): void {
  signedOut = call;
}

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | null | undefined>>;

/** `path?a=1&b=x,y`: empty values and lists are left out, lists are joined by commas; an empty text within a list stands for itself. */
export function address(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === '') continue;
    if (typeof value === 'object') {
      if (value.length > 0) parameters.set(name, value.join(','));
    } else {
      parameters.set(name, String(value));
    }
  }
  const text = parameters.toString();
  return BASE + path + (text === '' ? '' : `?${text}`);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

async function problem(response: Response): Promise<ApiError> {
  const id = response.headers.get('x-request-id') ?? '';
  try {
    const body = (await response.json()) as Record<string, unknown>;
    return new ApiError(response.status, text(body['code']), text(body['message_vi']), text(body['message_en']), text(body['request_id']) || id, text(body['field']), text(body['detail']));
  } catch {
    return new ApiError(response.status, 'unreadable', '', '', id);
  }
}

interface Asking {
  query?: Query | undefined;
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** The page asks by itself: this must not keep a session awake that nobody sits at. */
  background?: boolean;
}

async function send(method: string, path: string, { query, body, signal, background }: Asking = {}): Promise<unknown> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (method !== 'GET') headers[CSRF_HEADER] = csrf;
  if (background === true) headers['x-background'] = '1';
  let response: Response;
  try {
    response = await fetch(address(path, query), {
      method,
      headers,
      credentials: 'same-origin',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new ApiError(0, 'unreachable', '', '', '');
  }
  if (!response.ok) {
    const failure = await problem(response);
    if (failure.status === 401 && path !== '/session') signedOut();
    throw failure;
  }
  const answer = await response.text();
  if (answer === '') return null;
  try {
    return JSON.parse(answer) as unknown;
  } catch {
    throw new ApiError(response.status, 'unreadable', '', '', response.headers.get('x-request-id') ?? '');
  }
}

/** Asks; the type is what the OpenAPI document promises. */
export async function get<Answer>(path: string, query?: Query, signal?: AbortSignal): Promise<Answer> {
  return (await send('GET', path, { query, signal })) as Answer;
}

/** The same, asked by the page's own clock. */
export async function poll<Answer>(path: string, query?: Query, signal?: AbortSignal): Promise<Answer> {
  return (await send('GET', path, { query, signal, background: true })) as Answer;
}

export async function post<Answer>(path: string, body: unknown = {}): Promise<Answer> {
  return (await send('POST', path, { body })) as Answer;
}

export async function patch<Answer>(path: string, body: unknown): Promise<Answer> {
  return (await send('PATCH', path, { body })) as Answer;
}

export async function put<Answer>(path: string, body: unknown): Promise<Answer> {
  return (await send('PUT', path, { body })) as Answer;
}

export async function remove(path: string): Promise<void> {
  await send('DELETE', path);
}
