/* SPDX-License-Identifier: Apache-2.0 */
/* httpd directives that have no subject here. They are accepted, so that an
 * httpd config starts, and the reader is told once what does the job. */
#include "config/conf.h"

#define PROCESSES "set Workers, one process each, and ThreadsPerWorker"
#define NO_MUTEX "no lock is taken to accept connections"

const struct conf_obsolete conf_obsolete[] = {
    { "StartServers", PROCESSES },
    { "MinSpareServers", PROCESSES },
    { "MaxSpareServers", PROCESSES },
    { "ServerLimit", "use Workers" },
    { "MinSpareThreads", "threads start as they are needed, up to ThreadsPerWorker" },
    { "MaxSpareThreads", "threads start as they are needed, up to ThreadsPerWorker" },
    { "ThreadsPerChild", "use ThreadsPerWorker" },
    { "ThreadLimit", "use ThreadsPerWorker" },
    { "ThreadStackSize", "the system's limit (ulimit -s) holds" },
    { "MaxClients", "use MaxConnections, and ThreadsPerWorker for handlers that block" },
    { "MaxRequestWorkers", "use MaxConnections, and ThreadsPerWorker for handlers that block" },
    { "AsyncRequestWorkerFactor", "connections need no thread; see MaxConnections" },
    { "ListenCoresBucketsRatio", "all workers share each listening socket" },
    { "MaxRequestsPerChild", "use MaxConnectionsPerWorker" },
    { "MaxMemFree", "memory is given back as connections end" },
    { "Mutex", NO_MUTEX },
    { "AcceptMutex", NO_MUTEX },
    { "LockFile", NO_MUTEX },
    { "AcceptFilter", "a connection is accepted with its first bytes, or after a second" },
    { "ScoreBoardFile", "the scoreboard is shared memory without a name" },
    { "EnableExceptionHook", "crashes are handled by the server itself; see CoreDumpDirectory" },
    { "EnableMMAP", "the server decides how files are sent" },
    { "EnableSendfile", "the server decides how files are sent" },
    { "HostnameLookups", "addresses are logged, names are never looked up" },
    { "HttpProtocolOptions", "requests are always read strictly" },
    { "TraceEnable", "TRACE is never answered" },
    { "NameVirtualHost", "virtual hosts are told apart by name wherever they share an address" },
    { "DefaultType", "handlers set their own type" },
    { "ExtendedStatus", "counters are always kept; see instarctl status" },
    { "SSLMutex", NO_MUTEX },
    { "SSLRandomSeed", "the TLS library seeds itself" },
    { "SSLCryptoDevice", "the TLS library chooses its engine" },
    { "SSLCompression", "TLS compression is never used" },
    { "SSLSessionCache", "sessions are resumed by tickets; see SSLSessionTickets" },
    { "SSLStaplingCache", "responses are kept in shared memory of the server's own" },
    { "SSLStaplingFakeTryLater", "where there is no response none is sent" },
    { "SSLSessionCacheTimeout", "sessions are resumed by tickets; see SSLSessionTickets" },
    { NULL, NULL },
};
