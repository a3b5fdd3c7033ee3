// What the page says where there is nothing to show: an empty collection, no match, or an error with what to do next.

import {el} from './dom.js';

const kTitles = new Map([
  [0, 'No answer from the server'],
  [404, 'This picture is not in the collection'],
  [408, 'That took too long'],
  [413, 'That file is too large'],
  [415, 'That is not a picture'],
  [422, 'This picture cannot be read'],
  [503, 'The server is busy'],
]);
const kAdvice = new Map([
  [404, 'If the search was made with a file of yours, give the file again: files are not kept.'],
  [413, 'Make it smaller, or save it as JPEG.'],
  [422, 'Try another file, or open it in a picture program and save it again.'],
]);
const kTransient = new Set([0, 408, 500, 502, 503, 504]);
const kTries = 3;  // automatic ones; after that the user decides

// `actions` is a list of [label, function]. `kind` is 'empty' or 'error'.
export function notice(kind, title, sentences, actions = []) {
  return el('div', {class: `notice ${kind}`, role: kind === 'error' ? 'alert' : 'status'}, el('h2', {}, title),
            ...sentences.map((sentence) => (typeof sentence === 'string' ? el('p', {}, sentence) : sentence)),
            actions.length > 0 && el('p', {class: 'actions'},
              ...actions.map(([label, act], i) => el('button', {type: 'button', class: i ? 'plain' : 'primary', onclick: act}, label))));
}

// Shows an ApiError in `host`. Where trying again can help there is a button, and on overload (503) the page tries again
// by itself when the server said, at most kTries times (`tried` so far). Returns a function that stops the countdown.
export function showError(host, error, {retry, home, tried = 0}) {
  const actions = [];
  if (kTransient.has(error.status)) actions.push(['Try again', () => { stop(); retry(); }]);
  if (home) actions.push(['All pictures', () => { stop(); home(); }]);
  const countdown = el('p', {class: 'muted'});
  let timer = 0;
  const stop = () => clearInterval(timer);
  host.replaceChildren(notice('error', kTitles.get(error.status) ?? 'The search failed',
                              [error.message, kAdvice.get(error.status) ?? '', countdown].filter(Boolean), actions));
  if (error.status === 503 && tried < kTries) {
    let left = error.retryAfter ?? 2;
    const say = () => { countdown.textContent = `Trying again in ${left} s`; };
    say();
    timer = setInterval(() => {
      left -= 1;
      if (left > 0) { say(); return; }
      stop();
      retry();
    }, 1000);
  }
  return stop;
}
