import { element, show } from './dom';

const NEXT = { system: 'light', light: 'dark', dark: 'system' } as const;
type Theme = keyof typeof NEXT;

/** The choice is kept for the next visit (public/theme.js applies it before the first paint). */
export function themeButton(): void {
  const button = element('theme');
  const root = document.documentElement;
  const current = (): Theme => (root.dataset['theme'] as Theme | undefined) ?? 'system';
  const label = () => show('theme-name', `Theme: ${current()}`);
  button.addEventListener('click', () => {
    const theme = NEXT[current()];
    if (theme === 'system') delete root.dataset['theme'];
    else root.dataset['theme'] = theme;
    label();
    try {
      if (theme === 'system') localStorage.removeItem('theme');
      else localStorage.setItem('theme', theme);
    } catch {
      // Storage is switched off: the choice lasts as long as the page.
    }
  });
  label();
}
