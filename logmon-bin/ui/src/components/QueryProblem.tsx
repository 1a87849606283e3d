import { ExclamationTriangleIcon } from '@heroicons/react/16/solid';
import type { Problem } from '../api/types';
import { useText } from '../i18n';

export function QueryProblem({ problem }: { readonly problem: Problem }) {
  const text = useText();
  return (
    <div id="query-problem" role="alert" className="mt-1 flex gap-2 text-[12px] text-red" data-testid="query-problem">
      <ExclamationTriangleIcon className="icon mt-px" />
      <div className="min-w-0">
        <p>
          <span className="mr-2 font-semibold" data-testid="query-problem-title">{problem.title}</span>
          {problem.position && <span className="mr-2" data-testid="query-problem-column">{text.query.at(problem.position.column)}</span>}
          <span data-testid="query-problem-detail">{problem.detail}</span>
        </p>
        {problem.hint !== undefined && <p className="text-dim" data-testid="query-problem-hint">{problem.hint}</p>}
        {problem.expected && problem.expected.length > 0 && <p className="font-mono text-dim">{text.query.expected(problem.expected)}</p>}
      </div>
    </div>
  );
}
