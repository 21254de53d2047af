keepFrames("runs/demo_small--usdr@1--tflocoformer_mss--demo-seed0.js",[
{"step":1.0,"frames":{"vocals uSDR":[190],"drums uSDR":[280],"bass uSDR":[460],"other uSDR":[222]}},
{"step":1.0,"frames":{"vocals uSDR":[318],"drums uSDR":[697],"bass uSDR":[556],"other uSDR":[328]}},
{"step":1.0,"frames":{"vocals uSDR":[350],"drums uSDR":[771],"bass uSDR":[235],"other uSDR":[221]}},
{"step":1.0,"frames":{"vocals uSDR":[257],"drums uSDR":[833],"bass uSDR":[649],"other uSDR":[292]}},
{"step":1.0,"frames":{"vocals uSDR":[136],"drums uSDR":[765],"bass uSDR":[262],"other uSDR":[235]}},
{"step":1.0,"frames":{"vocals uSDR":[329],"drums uSDR":[395],"bass uSDR":[199],"other uSDR":[312]}}
]);
