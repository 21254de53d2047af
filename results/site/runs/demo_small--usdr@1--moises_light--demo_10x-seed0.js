keepFrames("runs/demo_small--usdr@1--moises_light--demo_10x-seed0.js",[
{"step":1.0,"frames":{"vocals uSDR":[157],"drums uSDR":[251],"bass uSDR":[468],"other uSDR":[243]}},
{"step":1.0,"frames":{"vocals uSDR":[400],"drums uSDR":[692],"bass uSDR":[573],"other uSDR":[411]}},
{"step":1.0,"frames":{"vocals uSDR":[398],"drums uSDR":[755],"bass uSDR":[231],"other uSDR":[186]}},
{"step":1.0,"frames":{"vocals uSDR":[646],"drums uSDR":[816],"bass uSDR":[641],"other uSDR":[546]}},
{"step":1.0,"frames":{"vocals uSDR":[123],"drums uSDR":[711],"bass uSDR":[243],"other uSDR":[259]}},
{"step":1.0,"frames":{"vocals uSDR":[438],"drums uSDR":[393],"bass uSDR":[211],"other uSDR":[373]}}
]);
