// The HTTP API (docs/openapi.yaml) as functions. Each returns a promise of the parsed body and takes an AbortSignal.
//
// Errors: ApiError with the server's sentence; `status` 0 when no server answered. An aborted call rejects with
// the AbortError of fetch. A 401 asks for the token once and goes on with it.

import {ask, token} from './token.js';

export class ApiError extends Error {
  constructor(status, code, message, retryAfter) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;  // seconds, null where the server named none
  }
}

export const headers = () => (token() ? {Authorization: `Bearer ${token()}`} : {});

async function failure(response) {
  const seconds = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
  let error = null;
  try { error = (await response.json()).error; } catch { /* a proxy's page, not ours */ }
  return new ApiError(response.status, error?.code ?? 'unknown', error?.message ?? `The server answered ${response.status}.`,
                      Number.isFinite(seconds) ? Math.max(1, seconds) : null);
}

// The response of any address of the server. Sends the token, and asks for it when the server wants one.
export async function request(path, options = {}) {
  for (;;) {
    const used = token();
    let response;
    try {
      response = await fetch(path, {...options, headers: {...options.headers, ...headers()}});
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new ApiError(0, 'unreachable', 'The server does not answer. Is `likeness serve` still running?', null);
    }
    if (response.status === 401) { await ask(used); continue; }
    if (!response.ok) throw await failure(response);
    return response;
  }
}

const json = async (path, options) => (await request(path, options)).json();

function query(parameters) {
  const out = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) if (value !== '' && value !== null) out.set(key, value);
  const text = out.toString();
  return text ? `?${text}` : '';
}

export const images = ({offset, limit, text, board}, signal) => json(`/v1/images${query({offset, limit, text, board})}`, {signal});
export const image = (signature, signal) => json(`/v1/images/${signature}`, {signal});
export const colors = (signature, signal) => json(`/v1/images/${signature}/colors`, {signal});
export const duplicates = (signature, signal) => json(`/v1/images/${signature}/duplicates`, {signal});
export const duplicateClusters = ({offset, limit}, signal) => json(`/v1/duplicates${query({offset, limit})}`, {signal});
export const boards = (signal) => json('/v1/boards', {signal});
export const status = (signal) => json('/v1/status', {signal});

export const pixelsAddress = (signature) => `/v1/images/${signature}/pixels`;
export const thumbnailAddress = (signature, size) => `/v1/images/${signature}/thumbnail?size=${size}`;

function options({k, region, color, text, board, all}) {
  const out = {k};
  if (all) out.floor = false;
  if (color) out.color = color;
  if (region) out.region = region;
  if (text) out.text = text;
  if (board) out.board = board;
  return out;
}

// The answer of a search; probabilities that were not calibrated on this collection are no facts to show.
const trusted = (answer) => {
  if (answer.ranking?.calibration !== 'home') for (const {evidence} of answer.results) delete evidence.probability;
  return answer;
};

// Searches with a picture of the collection; without one (''), for the color alone.
export const searchSignature = async (signature, what, signal) => trusted(await json('/v1/search', {
  method: 'POST', signal, headers: {'Content-Type': 'application/json'},
  body: JSON.stringify({...(signature ? {signature} : {}), ...options(what)}),
}));

// Searches with a file of the user.
export async function searchFile(file, what, signal) {
  const body = new FormData();
  body.append('request', new Blob([JSON.stringify(options(what))], {type: 'application/json'}));
  body.append('image', file, file.name || 'picture');
  return trusted(await json('/v1/search', {method: 'POST', signal, body}));
}

// Takes a file of the user into the collection; `words` are the fields of its pin.
export function addFile(file, words, signal) {
  const body = new FormData();
  for (const [name, value] of Object.entries(words)) if (value) body.append(name, value);
  body.append('image', file, file.name || 'picture');
  return json('/v1/images', {method: 'POST', signal, body});
}

export const removeImage = (signature, signal) => json(`/v1/images/${signature}`, {method: 'DELETE', signal});

// The duplicates of a file of the user.
export function duplicatesOfFile(file, signal) {
  const body = new FormData();
  body.append('image', file, file.name || 'picture');
  return json('/v1/duplicates', {method: 'POST', signal, body});
}
