-- The database, its owner, and one login for each service with a database; safe to repeat, which sets the passwords
-- anew. Run by psql 15 or newer as a superuser, with the passwords in the environment:
--
--   CODER_OWNER_PASSWORD=... CODER_API_PASSWORD=... CODER_RELAY_PASSWORD=... psql -X -d postgres -f roles.sql
--
-- What each service may do with each table is granted by the migrations, which the owner runs.
\set ON_ERROR_STOP on
\getenv owner_password CODER_OWNER_PASSWORD
\getenv api_password CODER_API_PASSWORD
\getenv relay_password CODER_RELAY_PASSWORD

SELECT format('CREATE ROLE %I', wanted) FROM unnest(ARRAY['coder_owner', 'coder_api', 'coder_relay']) AS wanted
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) \gexec
ALTER ROLE coder_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'owner_password';
ALTER ROLE coder_api LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'api_password';
ALTER ROLE coder_relay LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'relay_password';

SELECT 'CREATE DATABASE coder OWNER coder_owner' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'coder') \gexec
REVOKE ALL ON DATABASE coder FROM PUBLIC;
GRANT CONNECT ON DATABASE coder TO coder_owner, coder_api, coder_relay;
