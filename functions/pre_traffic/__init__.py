"""What CodeDeploy has done before a new version of the API gets traffic."""
