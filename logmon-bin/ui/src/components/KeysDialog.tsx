import { useEffect, useRef } from 'react';
import { useText } from '../i18n';
import { useSession } from '../state/store';

export function KeysDialog() {
  const text = useText();
  const shown = useSession((state) => state.keysShown);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (shown) dialog.current?.showModal();
    else dialog.current?.close();
  }, [shown]);
  const { keys } = text;
  const rows: readonly (readonly [string, string])[] = [
    ['/', keys.query], ['Esc', keys.esc], ['Space', keys.pause], ['j  k  ↓  ↑', keys.move], ['PgUp  PgDn', keys.page],
    ['G  End', keys.end], ['Home', keys.home], ['Enter', keys.open], ['1 … 6', keys.chips], ['y', keys.copy], ['d', keys.theme],
  ];
  return (
    <dialog ref={dialog} onClose={() => useSession.setState({ keysShown: false })} aria-label={keys.title} data-testid="keys" className="rounded-lg border border-line bg-raised p-5 text-text">
      <h2 className="mb-3 text-[15px] font-semibold">{keys.title}</h2>
      <table>
        <tbody>
          {rows.map(([key, meaning]) => (
            <tr key={key}>
              <th scope="row" className="py-[3px] pr-6 text-left font-mono text-[12px] font-semibold text-accent">{key}</th>
              <td>{meaning}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <form method="dialog" className="mt-4 text-right">
        <button className="button">{keys.close}</button>
      </form>
    </dialog>
  );
}
