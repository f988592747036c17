-- The role that the service logs in as: it reads and writes rows, and may not make or change tables. That is for
-- the role that migrates, and owns them (docs/adr/0010). That role runs this file, with psql, once for each
-- database, before or after the first migration; compose.yaml does so when it makes the database. It needs CREATEROLE
-- for it (ALTER ROLE owner CREATEROLE, by a superuser), since the service's role is made, or given its password, here.
--
--   SERVICE_PASSWORD=… psql --set ON_ERROR_STOP=1 --file roles.sql postgresql://owner@host/database

\getenv password SERVICE_PASSWORD
-- A role is one for all databases of a server: it may be there from another one.
SELECT 'CREATE ROLE workflow_orchestrator'
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'workflow_orchestrator') \gexec
ALTER ROLE workflow_orchestrator LOGIN PASSWORD :'password';
GRANT CONNECT ON DATABASE :"DBNAME" TO workflow_orchestrator;
GRANT USAGE ON SCHEMA public TO workflow_orchestrator;

-- What is there already.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO workflow_orchestrator;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO workflow_orchestrator;

-- What later migrations make, if the same role runs them.
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO workflow_orchestrator;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO workflow_orchestrator;
