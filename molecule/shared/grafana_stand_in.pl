#!/usr/bin/perl
# Stands in for bin/grafana, because no package registry has the archive of Grafana. It answers health checks, Prometheus
# and verify, keeps the password that it was first started with until it is changed, and answers for its data source what Prometheus itself answers.
use strict;
use warnings;
use IO::Socket::INET;

$SIG{TERM} = $SIG{INT} = sub { exit 0 };
$SIG{PIPE} = 'IGNORE';

sub password {
    # As Grafana does: the file counts only while the database is empty.
    for my $path ('/var/lib/grafana/password', '/run/admin/password') {
        open my $file, '<', $path or next;
        chomp(my $line = <$file>);
        keep($line);
        return $line;
    }
    return undef;
}

sub keep {
    open my $file, '>', '/var/lib/grafana/password' or return 0;
    print $file $_[0];
    return close $file;
}

sub prometheus_answers {
    my $peer = IO::Socket::INET->new(PeerAddr => 'prometheus:9090', Timeout => 3) or return 0;
    print $peer "GET /-/ready HTTP/1.0\r\n\r\n";
    return (<$peer> // '') =~ / 200 /;
}

# Base64, which perl-base has no module for, by way of uuencode.
sub base64 {
    my ($text) = @_;
    my $code = join '', map { substr(pack('u', $_), 1) =~ s/\n//r } $text =~ /(.{1,45})/gs;
    $code =~ tr{` -_}{AA-Za-z0-9+/};
    my $padding = (3 - length($text) % 3) % 3;
    return $code =~ s/.{$padding}$/'=' x $padding/er;
}

sub allowed {
    my ($token) = @_;
    my $password = password();
    return defined $password && $token eq base64("admin:$password");
}

sub answer {
    my ($path, $token, $sent) = @_;
    return ('200 OK', '{"database": "ok"}') if $path eq '/api/health';
    return ('200 OK', "grafana_stand_in 1\n") if $path eq '/metrics';
    return ('401 Unauthorized', '{}') unless allowed($token);
    return ('200 OK', '{"login": "admin"}') if $path eq '/api/user';
    if ($path eq '/api/user/password') {
        my ($new) = $sent =~ /"newPassword": *"([^"]+)"/;
        return $new && keep($new) ? ('200 OK', '{}') : ('400 Bad Request', '{}');
    }
    return ('200 OK', '[{"uid": "prometheus", "name": "Prometheus", "url": "http://prometheus:9090"}]') if $path eq '/api/datasources';
    return ('200 OK', prometheus_answers() ? '{"status": "OK"}' : '{"status": "ERROR"}') if $path =~ m{^/api/datasources/uid/[^/]+/health$};
    return ('404 Not Found', '{}');
}

my $server = IO::Socket::INET->new(LocalPort => 3000, Listen => 64, ReuseAddr => 1) or die "port 3000: $!";
while (1) {
    my $client = $server->accept or next;
    # A client that says nothing must not hold up the others: five seconds.
    eval {
        local $SIG{ALRM} = sub { die };
        alarm 5;
        my ($path) = (<$client> // '') =~ m{^(?:GET|PUT) (\S+)};
        my ($token, $length, $sent) = ('', 0, '');
        while (defined(my $line = <$client>)) {
            last if $line =~ /^\r?\n$/;
            $token = $1 if $line =~ /^authorization: basic (\S+)/i;
            $length = $1 if $line =~ /^content-length: (\d+)/i;
        }
        read $client, $sent, $length if $length && $length < 4096;
        my ($status, $body) = answer($path // '', $token, $sent);
        my $type = ($path // '') eq '/metrics' ? 'text/plain; version=0.0.4' : 'application/json';
        printf $client "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", $status, $type, length $body, $body;
        alarm 0;
    };
    alarm 0;
    close $client;
}
