keepFrames("runs/demo_small--usdr@1--lasaft--demo_10x-seed2020.js",[
{"step":1.0,"frames":{"vocals uSDR":[360],"drums uSDR":[441],"bass uSDR":[622],"other uSDR":[414]}},
{"step":1.0,"frames":{"vocals uSDR":[441],"drums uSDR":[853],"bass uSDR":[664],"other uSDR":[466]}},
{"step":1.0,"frames":{"vocals uSDR":[559],"drums uSDR":[983],"bass uSDR":[304],"other uSDR":[281]}},
{"step":1.0,"frames":{"vocals uSDR":[597],"drums uSDR":[1080],"bass uSDR":[832],"other uSDR":[650]}},
{"step":1.0,"frames":{"vocals uSDR":[245],"drums uSDR":[972],"bass uSDR":[238],"other uSDR":[400]}},
{"step":1.0,"frames":{"vocals uSDR":[445],"drums uSDR":[519],"bass uSDR":[260],"other uSDR":[388]}}
]);
