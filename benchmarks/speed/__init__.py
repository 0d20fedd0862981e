"""Speed, as ratios measured in one run: the built packages through their real handlers, each against what one would use
instead.

make bench                           everything, into results/speed.json and docs/benchmarks.md
make bench QUICK=1                   the same on less data with fewer repeats
python -m benchmarks.speed.cold      one table; also warm, batch, monitor, ks, scale, train, promote
"""
