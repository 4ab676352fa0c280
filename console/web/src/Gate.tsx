/** Who may see what: nobody the sign-in, a first password its change, everybody else the shell with its pages. */
import { lazy, Suspense } from 'react';
import { Navigate, Route, Routes } from 'react-router';

import { useSession } from './api/session';
import { LiveProvider } from './api/live';
import { useWords } from './i18n';
import { Empty, Failed, Skeleton } from './look/States';
import { TriageProvider } from './pages/alerts/triage';
import { ChangePassword } from './pages/signin/ChangePassword';
import { SignIn } from './pages/signin/SignIn';
import { ScopeProvider } from './shell/scope';
import { Shell } from './shell/Shell';

const OverviewPage = lazy(() => import('./pages/overview/OverviewPage'));
const AlertsPage = lazy(() => import('./pages/alerts/AlertsPage').then((found) => ({ default: found.AlertsPage })));
const AlertPage = lazy(() => import('./pages/alert/AlertPage'));
const IncidentsPage = lazy(() => import('./pages/incidents/IncidentsPage'));
const IncidentPage = lazy(() => import('./pages/incident/IncidentPage'));
const HuntPage = lazy(() => import('./pages/hunt/HuntPage'));
const SensorsPage = lazy(() => import('./pages/sensors/SensorsPage'));
const RulesPage = lazy(() => import('./pages/rules/RulesPage'));
const AdminPage = lazy(() => import('./pages/admin/AdminPage'));

export function Gate() {
  const { me, failure, start } = useSession();
  if (me === undefined) {
    return failure === null ? <Skeleton lines={8} /> : <Failed error={failure} retry={() => void start()} />;
  }
  if (me === null) return <SignIn />;
  if (me.must_change_password) return <ChangePassword />;
  return (
    <ScopeProvider>
      <LiveProvider>
        <TriageProvider>
          <Shell><Pages /></Shell>
        </TriageProvider>
      </LiveProvider>
    </ScopeProvider>
  );
}

function Pages() {
  const { t } = useWords();
  const { isAdministrator, mayWrite } = useSession();
  return (
    <Suspense fallback={<Skeleton lines={10} />}>
      <Routes>
        <Route path="/" element={<OverviewPage />} />
        <Route path="/alerts" element={<AlertsPage />} />
        <Route path="/alerts/:id" element={<AlertPage />} />
        <Route path="/incidents" element={<IncidentsPage />} />
        <Route path="/incidents/:id" element={<IncidentPage />} />
        <Route path="/hunt" element={<HuntPage />} />
        <Route path="/sensors" element={<SensorsPage />} />
        <Route path="/rules" element={<RulesPage />} />
        {mayWrite && <Route path="/admin" element={<Navigate to={isAdministrator ? '/admin/users' : '/admin/exceptions'} replace />} />}
        {mayWrite && <Route path="/admin/:tab" element={<AdminPage />} />}
        <Route path="*" element={<Empty text={t('error.notFound')} />} />
      </Routes>
    </Suspense>
  );
}
