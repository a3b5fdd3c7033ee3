// Light or dark: the system's preference, unless the user chose one here. A plain script in the head, not a module,
// so that the choice is in place before the first paint.
(() => {
  const key = 'likeness-theme';
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const stored = () => { try { return localStorage.getItem(key); } catch { return null; } };
  const store = (value) => { try { localStorage.setItem(key, value); } catch { /* private window: lasts until reload */ } };
  const chosen = stored();
  if (chosen === 'dark' || chosen === 'light') root.dataset.theme = chosen;
  const dark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : system.matches);

  document.addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('toggle-theme');
    const show = () => button.setAttribute('aria-pressed', String(dark()));
    button.addEventListener('click', () => {
      root.dataset.theme = dark() ? 'light' : 'dark';
      store(root.dataset.theme);
      show();
    });
    system.addEventListener('change', show);
    show();
  });
})();
