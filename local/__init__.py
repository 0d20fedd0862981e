"""The embedded cloud: starts it on loopback, deploys ``template.yaml`` onto it, tells the story."""
