"""What every other room uses: settings, the words of the service, and the tools of one HTTP answer."""
