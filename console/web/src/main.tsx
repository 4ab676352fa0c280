/** Where the page starts: providers from the outside in, then the routes. */
import '@fontsource/be-vietnam-pro/latin-400.css';
import '@fontsource/be-vietnam-pro/latin-500.css';
import '@fontsource/be-vietnam-pro/latin-600.css';
import '@fontsource/be-vietnam-pro/latin-ext-400.css';
import '@fontsource/be-vietnam-pro/latin-ext-500.css';
import '@fontsource/be-vietnam-pro/latin-ext-600.css';
import '@fontsource/be-vietnam-pro/vietnamese-400.css';
import '@fontsource/be-vietnam-pro/vietnamese-500.css';
import '@fontsource/be-vietnam-pro/vietnamese-600.css';
import '@fontsource/jetbrains-mono/latin-400.css';
import '@fontsource/jetbrains-mono/latin-ext-400.css';
import '@fontsource/jetbrains-mono/vietnamese-400.css';
import './look/theme.css';

import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { App as Messages } from 'antd';
import { createRoot } from 'react-dom/client';
import { BrowserRouter } from 'react-router';

import { Gate } from './Gate';
import { SessionProvider } from './api/session';
import { ApiError } from './api/http';
import { WordsProvider } from './i18n';
import { Crash } from './look/Crash';
import { ThemeProvider } from './look/theme';

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // What the console refused once it refuses again; only a missing answer is worth a second try.
      retry: (count, error) => count < 2 && error instanceof ApiError && (error.status === 0 || error.status >= 502),
    },
  },
});

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');
createRoot(root).render(
  <WordsProvider>
    <ThemeProvider>
      <Messages message={{ maxCount: 1, duration: 4 }}>
        <Crash>
          <QueryClientProvider client={queries}>
            <BrowserRouter>
              <SessionProvider>
                <Gate />
              </SessionProvider>
            </BrowserRouter>
          </QueryClientProvider>
        </Crash>
      </Messages>
    </ThemeProvider>
  </WordsProvider>,
);
