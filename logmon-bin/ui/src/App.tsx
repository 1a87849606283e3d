import { Announcer } from './components/Announcer';
import { Banners } from './components/Banners';
import { Drawer } from './components/Drawer';
import { FilterRow } from './components/FilterRow';
import { KeysDialog } from './components/KeysDialog';
import { LogPane } from './components/LogPane';
import { Outputs } from './components/Outputs';
import { QueryBar } from './components/QueryBar';
import { StatusBar } from './components/StatusBar';
import { TopBar } from './components/TopBar';
import { useSession } from './state/store';

export function App() {
  const searching = useSession((state) => state.searching);
  return (
    <div className="flex h-full flex-col">
      <TopBar />
      <div role="search" className="flex-none border-b border-line bg-panel px-3 pt-2 pb-2">
        <QueryBar />
        <FilterRow />
      </div>
      <div className={searching ? 'thin-bar -mb-[2px]' : 'h-0'} data-testid="searching" aria-hidden="true" />
      <Banners />
      <Outputs />
      <main className="flex min-h-0 flex-1 flex-col min-[1100px]:flex-row">
        <LogPane />
        <Drawer />
      </main>
      <StatusBar />
      <Announcer />
      <KeysDialog />
    </div>
  );
}
