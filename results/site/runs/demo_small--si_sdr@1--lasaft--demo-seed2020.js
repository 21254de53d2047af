keepFrames("runs/demo_small--si_sdr@1--lasaft--demo-seed2020.js",[
{"step":1.0,"frames":{"vocals SI-SDR":[24],"drums SI-SDR":[-10],"bass SI-SDR":[354],"other SI-SDR":[65]}},
{"step":1.0,"frames":{"vocals SI-SDR":[224],"drums SI-SDR":[374],"bass SI-SDR":[195],"other SI-SDR":[176]}},
{"step":1.0,"frames":{"vocals SI-SDR":[240],"drums SI-SDR":[794],"bass SI-SDR":[-86],"other SI-SDR":[-136]}},
{"step":1.0,"frames":{"vocals SI-SDR":[16],"drums SI-SDR":[760],"bass SI-SDR":[493],"other SI-SDR":[140]}},
{"step":1.0,"frames":{"vocals SI-SDR":[-289],"drums SI-SDR":[693],"bass SI-SDR":[-207],"other SI-SDR":[-168]}},
{"step":1.0,"frames":{"vocals SI-SDR":[227],"drums SI-SDR":[207],"bass SI-SDR":[-180],"other SI-SDR":[182]}}
]);
