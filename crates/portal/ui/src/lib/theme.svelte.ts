// Dark or light: the system's choice unless the person says otherwise.

export type Choice = 'auto' | 'light' | 'dark';
const ORDER: Choice[] = ['auto', 'light', 'dark'];
const KEY = 'srwan-theme';

export class Theme {
  choice = $state<Choice>('auto');
  /** Rises when colours may have changed: a canvas reads it to know that it must draw again. */
  version = $state(0);

  constructor() {
    const saved = localStorage.getItem(KEY) as Choice | null;
    this.#set(saved !== null && ORDER.includes(saved) ? saved : 'auto');
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => (this.version += 1));
  }

  next(): void {
    this.#set(ORDER[(ORDER.indexOf(this.choice) + 1) % ORDER.length] as Choice);
    localStorage.setItem(KEY, this.choice);
  }

  #set(choice: Choice): void {
    this.choice = choice;
    document.documentElement.dataset.theme = choice;
    this.version += 1;
  }
}
