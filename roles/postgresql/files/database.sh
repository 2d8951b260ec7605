#!/bin/sh
# What happens to a database when its application goes, and comes back.
# usage: database.sh keep|return|purge DATABASE OWNER
#
#   keep    take away the role OWNER; what it owned goes to a role that nobody can sign in as
#   return  give that back to the role OWNER
#   purge   delete the database
#
# Each is one transaction or one statement, and may be repeated. Prints what it did, nothing when there was nothing to do.
set -eu
action=$1 database=$2 owner=$3
# Not postgres: what extensions and the server itself made belongs to that one, and has to stay with it.
keeper=schoolstack_kept

sql() { # DATABASE, statements on standard input
  psql --username=postgres --no-psqlrc --quiet --no-align --tuples-only --single-transaction --set=ON_ERROR_STOP=1 \
    --set=database="$database" --set=owner="$owner" --set=keeper="$keeper" --dbname="$1"
}

exists=$(sql postgres <<'SQL'
SELECT 1 FROM pg_database WHERE datname = :'database';
SQL
)

case $action in
  keep)
    [ -n "$exists" ] || exit 0
    sql "$database" <<'SQL'
SELECT 'kept' FROM pg_roles WHERE rolname = :'owner';
SELECT format('CREATE ROLE %I NOLOGIN', :'keeper')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'keeper') \gexec
SELECT format('REASSIGN OWNED BY %1$I TO %2$I; DROP OWNED BY %1$I', :'owner', :'keeper')
  FROM pg_roles WHERE rolname = :'owner' \gexec
-- The database itself too would be handed on with whatever else the keeper holds.
ALTER DATABASE :"database" OWNER TO postgres;
DROP ROLE IF EXISTS :"owner";
SQL
    ;;
  return)
    [ -n "$exists" ] || exit 0
    sql "$database" <<'SQL'
SELECT DISTINCT 'returned' FROM pg_shdepend JOIN pg_database ON pg_database.oid = dbid JOIN pg_roles ON pg_roles.oid = refobjid
  WHERE datname = :'database' AND rolname = :'keeper';
SELECT format('REASSIGN OWNED BY %I TO %I', :'keeper', :'owner') FROM pg_roles WHERE rolname = :'keeper' \gexec
SQL
    ;;
  purge)
    [ -z "$exists" ] || {
      dropdb --username=postgres --force "$database"
      echo purged
    }
    ;;
esac

# The keeper stays no longer than there is something to keep.
sql postgres <<'SQL'
SELECT format('DROP ROLE %I', rolname) FROM pg_roles
  WHERE rolname = :'keeper' AND NOT EXISTS (SELECT FROM pg_shdepend WHERE refobjid = pg_roles.oid) \gexec
SQL
