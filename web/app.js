// The page: turns addresses into views and what the user does into addresses. Everything else is in the modules below.

import {boards as fetchBoards} from './api.js';
import {Boards} from './boards.js';
import {Compare} from './compare.js';
import {Detail} from './detail.js';
import {byId, toast} from './dom.js';
import {Duplicates} from './duplicates.js';
import {count, plural} from './format.js';
import {Grid} from './grid.js';
import {takePictures} from './intake.js';
import {takeKeys} from './keys.js';
import {notice, showError} from './notice.js';
import {QueryPanel} from './query.js';
import {address, hasPicture, isSearch, kHome, parse} from './route.js';
import {Search} from './search.js';
import {PagedSource} from './source.js';
import {openStatus} from './status.js';

const kTyping = 250;      // ms of rest before words filter
const kUnderneath = 70;   // pixels of words under each result

const files = new Map();  // the user's own pictures of this tab: signature, or upload number, -> File
let uploads = 0;
let route = kHome;
let filterShown = null;   // the filter that the collection is shown with
let searchShown = '';     // the search that is shown
let firstInView = 0;

const browse = new Grid(byId('browse-grid'), {caption: 0, target: 220, narrow: 150, label: 'Collection', href: (item) => address(searchRoute(item.signature))});
const answers = new Grid(byId('answer-grid'), {caption: kUnderneath, target: 250, narrow: 225, label: 'Results', href: (item) => address(searchRoute(item.signature))});
const search = new Search(answers);
const compare = new Compare(byId('compare'));
const duplicates = new Duplicates(byId('duplicates'), compare);
const panel = new QueryPanel(byId('query'), compare);
const detail = new Detail(byId('detail'), compare);
const boards = new Boards(byId('boards'), (board) => go({...route, board, duplicates: '', show: ''}));

const searchRoute = (signature) => ({...kHome, signature, text: route.text, board: route.board});
const fileOf = (r) => files.get(r.signature || r.upload) ?? null;

// Remembers where the user is in the present history entry.
const remember = () => history.replaceState({...history.state, y: scrollY, first: firstInView}, '');

function go(next, {replace = false} = {}) {
  remember();
  const state = {opened: Boolean(next.show) && !replace};  // details that were opened here: closing them goes back
  if (address(next) !== address(route)) history[replace ? 'replaceState' : 'pushState'](state, '', address(next));
  render(next, null);
}

// Shows a route. `place` is where the user was in it, {y, first}, or null when it is new.
function render(next, place) {
  const before = route;
  route = next;
  if (byId('text') !== document.activeElement || byId('text').value.trim() !== route.text) byId('text').value = route.text;
  boards.choose(route.board);
  byId('home').href = address(kHome);
  if (route.upload && !fileOf(route)) {
    toast('The picture of that search was a file, which is not kept. Give it again.');
    go({...route, upload: '', region: null}, {replace: true});
    return;
  }
  byId('browse').hidden = isSearch(route) || Boolean(route.duplicates);
  byId('search').hidden = !isSearch(route);
  byId('duplicates').hidden = !route.duplicates;
  if (route.duplicates) byId('open-duplicates').setAttribute('aria-current', 'page');
  else byId('open-duplicates').removeAttribute('aria-current');
  if (isSearch(route)) showSearch(before, place);
  else if (route.duplicates) showDuplicates(before, place);
  else showBrowse(place);
  document.title = isSearch(route) ? (hasPicture(route) ? 'Looks like this · Likeness' : 'In this color · Likeness') : route.duplicates ? 'Duplicates · Likeness' : [route.text, 'Likeness'].filter(Boolean).join(' · ');
  if (route.show) detail.open(route.show, hitOf(route.show));
  else detail.close();
}

const hitOf = (signature) => (isSearch(route) && answers.source?.items?.find((hit) => hit.signature === signature)) || null;

function showSearch(before, place) {
  const key = Search.key(route);
  const query = route.signature || route.upload;
  panel.show(query, {signature: route.signature, file: fileOf(route), region: route.region, color: route.color});
  if (key === searchShown && !byId('answer-note').childElementCount) { answers.refresh(); if (place) scrollTo(0, place.y ?? 0); return; }
  if (query !== (before.signature || before.upload)) { search.reset(); scrollTo(0, 0); }
  searchShown = key;
  search.run(route, fileOf(route)).then(() => { if (place?.y && searchShown === key) scrollTo(0, place.y); });
}

function showBrowse(place) {
  search.stop();
  searchShown = '';
  panel.leave();
  const filter = JSON.stringify([route.text, route.board]);
  if (filter === filterShown) { browse.refresh(); if (place) scrollTo(0, place.y ?? 0); return; }
  filterShown = filter;
  firstInView = 0;
  const source = new PagedSource({text: route.text, board: route.board});
  byId('browse-note').replaceChildren();
  byId('lead').replaceChildren('\u00a0');
  if (!place) scrollTo(0, 0);
  browse.show(source, place?.first ?? 0);
  const arrived = source.onsection;
  source.onsection = (s) => { byId('browse-note').replaceChildren(); arrived(s); lead(source); };
  source.onerror = (error) => {
    if (source.total === null) browse.host.style.height = '0';
    showError(byId('browse-note'), error, {retry: () => source.retry(), tried: Infinity});
  };
}

function showDuplicates(before, place) {
  search.stop();
  searchShown = '';
  panel.leave();
  if (!before.duplicates && !place) scrollTo(0, 0);
  duplicates.show().then(() => { if (place && route.duplicates) scrollTo(0, place.y ?? 0); });
}

// The line above the collection, and what to say when it is empty.
function lead(source) {
  const narrowed = route.text || route.board;
  const n = source.total;
  byId('lead').textContent = n === 0 ? '' : narrowed ? `${plural(n, 'picture')} match the filter.` :
      `${plural(n, 'picture')}. Drop or paste one of yours, or click one below, to find what looks like it.`;
  if (n > 0) return;
  const code = document.createElement('pre');
  code.textContent = 'likeness add FOLDER\nlikeness fingerprint\nlikeness index';
  byId('browse-note').replaceChildren(narrowed ?
    notice('empty', 'No picture matches the filter', ['Try fewer or other words, or another board.'], [['Clear the filter', clearFilter]]) :
    notice('empty', 'The collection is empty', ['Add a folder of pictures:', code]));
}

// What is shown of the collection is asked for again when it is next shown.
function collectionChanged() {
  filterShown = null;
  searchShown = '';
  search.forget();
  duplicates.clear();
  readBoards();
}

const clearFilter = () => go({...route, text: '', board: '', show: ''});
const goHome = () => go({...kHome, text: route.text, board: route.board});

function searchFile(file) {
  uploads += 1;
  files.set(String(uploads), file);
  detail.close();
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  go({...kHome, upload: String(uploads), text: route.text, board: route.board});
}

search.onhome = goHome;
search.onclear = clearFilter;
search.onanswer = (answer, asked) => {
  if (answer.query.signature) panel.setSize(answer.query.width, answer.query.height);
  if (!asked.upload || route.upload !== asked.upload) return;
  // The server has named the file: from now on the address can be shared, if the collection has the picture.
  const file = fileOf(asked);
  const named = {...route, signature: answer.query.signature, upload: ''};
  files.set(named.signature, file);
  search.keep({...asked, signature: named.signature, upload: ''}, answer);
  history.replaceState({...history.state}, '', address(named));
  route = named;
  searchShown = Search.key(named);
  panel.rename(named.signature, file);
};

panel.onregion = (region) => go({...route, region});
panel.oncolor = (color) => go({...route, color});
panel.ondetail = () => go({...route, show: route.signature});
panel.onclose = goHome;
panel.onadded = (answer) => {
  toast(answer.searchable ? 'The picture is in the collection: every search finds it.' : `The picture is in the collection. ${answer.reason}`);
  collectionChanged();
  render(route, {y: scrollY});
};
detail.onremoved = (signature) => {
  toast('The picture is out of the collection.');
  collectionChanged();
  const own = files.get(signature);
  if (own && route.signature === signature) panel.rename(signature, own);
  go(route.signature === signature && !own ? {...kHome, text: route.text, board: route.board} : {...route, show: ''}, {replace: true});
};
panel.onboard = detail.onboard = (board) => go({...kHome, board});
browse.onopen = answers.onopen = (item) => go(searchRoute(item.signature));
browse.ondetail = answers.ondetail = (item) => go({...route, show: item.signature});
browse.onfirst = (index) => { firstInView = index; };
browse.oncut = (n) => toast(`The grid shows the first ${count(n)} pictures; narrow it by words or a board to see others.`);
duplicates.ondetail = (signature) => go({...route, show: signature});
duplicates.onhome = goHome;
detail.onsearch = (signature) => go(searchRoute(signature));
detail.oncolor = (color) => go({...kHome, color, text: route.text, board: route.board});
detail.onclose = () => {
  if (!route.show) return;
  if (history.state?.opened) history.back();
  else go({...route, show: ''}, {replace: true});
};

let typing = 0;
const filterNow = () => {
  clearTimeout(typing);
  const text = byId('text').value.trim();
  if (text !== route.text) go({...route, text, duplicates: '', show: ''}, {replace: route.text !== '' && text !== ''});
};
byId('text').addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(filterNow, kTyping); });
byId('find').addEventListener('submit', (event) => { event.preventDefault(); filterNow(); });
byId('home').addEventListener('click', (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  go(kHome);
  scrollTo(0, 0);
});
byId('open-duplicates').addEventListener('click', (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  if (route.duplicates) duplicates.clear();  // again: what is there now
  go({...kHome, duplicates: 'all'});
});
byId('open-status').addEventListener('click', () => openStatus(byId('status')));
byId('open-help').addEventListener('click', () => byId('help').showModal());

const shownGrid = () => (isSearch(route) ? answers : browse);
takePictures(searchFile);
takeKeys({
  focusGrid: () => { if (!route.duplicates) shownGrid().focus(shownGrid().active); },
  region: () => { if (isSearch(route)) panel.toggleRegion(); },
  escape: (target) => {
    if (target.id === 'text') {
      if (target.value) { target.value = ''; filterNow(); } else target.blur();
    } else if (isSearch(route)) {
      if (panel.hasRegion) panel.clearRegion();
      else if (hasPicture(route) && route.color) go({...route, color: ''});
      else goHome();
    } else if (route.duplicates) goHome();
    else if (document.activeElement !== document.body) document.activeElement.blur();
  },
});

history.scrollRestoration = 'manual';
let resting = 0;
addEventListener('scroll', () => { clearTimeout(resting); resting = setTimeout(remember, 150); }, {passive: true});
addEventListener('popstate', (event) => { clearTimeout(resting); render(parse(location.search), event.state ?? {}); });
function readBoards() {  // where this fails, the grid says what is wrong
  fetchBoards().then((found) => boards.fill(found.boards)).catch(() => boards.fill([]));
}
const size = () => document.documentElement.style.setProperty('--bar', `${byId('bar').offsetHeight}px`);
new ResizeObserver(size).observe(byId('bar'));
render(parse(location.search), history.state);
readBoards();
