#!/bin/sh
# Finding: `npm sbom --omit dev --workspace app` leaves out production dependencies of the workspace if any other workspace needs
# them for development, directly or through another package: a scanner that reads this bill of materials does not see them. `npm ls` with the same options lists them.
# Complete: the bill without `--omit`, filtered by its own graph of dependencies from the workspace on.
# Installs pinned packages into a temporary folder, uses the registry only, and exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir tool project project/app project/site
npm install --silent --ignore-scripts --no-audit --no-fund --prefix tool npm@11.19.1 2>/dev/null
npm="node $folder/tool/node_modules/npm/bin/npm-cli.js"
cd project
echo '{"name":"all","version":"1.0.0","private":true,"workspaces":["app","site"]}' >package.json
echo '{"name":"app","version":"1.0.0","dependencies":{"ms":"2.1.3","debug":"4.4.3"}}' >app/package.json
echo '{"name":"site","version":"1.0.0","devDependencies":{"debug":"4.4.3"}}' >site/package.json
$npm install --silent --ignore-scripts --no-audit --no-fund
names() { node -e "let s='';process.stdin.on('data',(d)=>s+=d).on('end',()=>console.log(JSON.parse(s).components.map((c)=>c.name).filter((n)=>n==='debug'||n==='ms').sort().join(' ')))"; }
omitted=$($npm sbom --sbom-format cyclonedx --omit dev --workspace app | names)
complete=$($npm sbom --sbom-format cyclonedx --workspace app | names)
listed=$($npm ls --omit dev --workspace app --parseable --all | sed -n 's#.*/node_modules/##p' | grep -x -e debug -e ms | sort | tr '\n' ' ')
echo "npm 11.19.1, production dependencies of a workspace: debug and ms"
echo "npm sbom --omit dev:  $omitted"
echo "npm sbom:             $complete"
echo "npm ls --omit dev:    $listed"
if [ "$omitted" != "" ] || [ "$complete" != "debug ms" ]; then
  echo "changed: both were expected to be missing only with --omit dev"
  exit 1
fi
echo "as described: the bill of materials lacks both production dependencies"
