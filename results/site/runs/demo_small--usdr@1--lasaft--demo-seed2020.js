keepFrames("runs/demo_small--usdr@1--lasaft--demo-seed2020.js",[
{"step":1.0,"frames":{"vocals uSDR":[218],"drums uSDR":[296],"bass uSDR":[513],"other uSDR":[307]}},
{"step":1.0,"frames":{"vocals uSDR":[419],"drums uSDR":[466],"bass uSDR":[409],"other uSDR":[376]}},
{"step":1.0,"frames":{"vocals uSDR":[413],"drums uSDR":[858],"bass uSDR":[256],"other uSDR":[225]}},
{"step":1.0,"frames":{"vocals uSDR":[291],"drums uSDR":[825],"bass uSDR":[613],"other uSDR":[367]}},
{"step":1.0,"frames":{"vocals uSDR":[102],"drums uSDR":[773],"bass uSDR":[135],"other uSDR":[187]}},
{"step":1.0,"frames":{"vocals uSDR":[428],"drums uSDR":[396],"bass uSDR":[201],"other uSDR":[400]}}
]);
