#!/bin/bash
# The database's image runs this once, when its volume is new: the user may create and use the
# schemas that begin with the prefix, and no others. Without a prefix, that is all schemas.
set -euo pipefail

pattern=${DATABASE_PREFIX//\\/\\\\}
pattern=${pattern//_/\\_} # an underscore alone stands for any letter
pattern=${pattern//%/\\%}
name=${MARIADB_USER//\'/\'\'}
MYSQL_PWD=$MARIADB_ROOT_PASSWORD mariadb --protocol=socket --user=root \
    --execute="GRANT ALL ON \`${pattern//\`/\`\`}%\`.* TO '$name'@'%'"
