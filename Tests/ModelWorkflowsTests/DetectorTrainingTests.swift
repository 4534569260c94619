import ModelCheckpoints
import ModelCore
import ModelData
import ModelDetection
import ModelEngine
import ModelImages
import ModelTraining
import ModelWorkflows
import SystemPackage
import TestSupport
import Testing

@Suite struct DetectorTrainingTests {
  /// Bright squares of three colours on noise, in pictures of 64 to 70 pixels.
  private func set(in folder: FilePath, _ part: String, count: Int, seed: Int = 1, boxless: Bool = false) throws {
    var numbers = Generator(seed)
    let (pictures, labels) = (folder.appending("images").appending(part), folder.appending("labels").appending(part))
    try FileFolder.make(pictures)
    try FileFolder.make(labels)
    for index in 0..<count {
      let (height, width) = (64 + index % 7, 70 - index % 5)
      var bytes = (0..<height * width * 3).map { _ in UInt8(Int.random(in: 0..<90, using: &numbers)) }
      var lines = ""
      for number in 0..<(boxless ? 0 : index % 3 + 1) {
        let kind = (index + number) % 3
        let side = Int.random(in: 12..<24, using: &numbers)
        let (x, y) = (
          Int.random(in: 0..<width - side, using: &numbers), Int.random(in: 0..<height - side, using: &numbers)
        )
        for row in y..<y + side {
          for column in x..<x + side { bytes[(row * width + column) * 3 + kind] = 230 }
        }
        let (w, h) = (Double(width), Double(height))
        lines += "\(kind) \((Double(x) + Double(side) / 2) / w) \((Double(y) + Double(side) / 2) / h)"
        lines += " \(Double(side) / w) \(Double(side) / h)\n"
      }
      try ImageFile(pixels: tensor(.uint8, [height, width, 3], bytes)).write(to: pictures.appending("\(index).png"))
      try write(lines, to: labels.appending("\(index).txt"))
    }
  }

  private func write(_ text: String, to path: FilePath) throws {
    let file = try AtomicFile(replacing: path)
    try file.write(text.utf8)
    try file.commit()
  }

  private func sets(_ folder: FilePath, count: Int = 10) throws -> DetectionSets {
    try set(in: folder, "train", count: count)
    try set(in: folder, "val", count: 4, seed: 2)
    try write("train: images/train\nval: images/val\nnames: [red, green, blue]\n", to: folder.appending("data.yaml"))
    return try DetectionSets(contentsOf: folder.appending("data.yaml"))
  }

  private var options: DetectorTrainingOptions {
    var options = DetectorTrainingOptions()
    (options.epochs, options.batchSize, options.imageSize, options.interval) = (3, 4, 64, 2)
    options.plainEpochs = 1
    options.recipe.warmupMinimumSteps = 3
    options.recipe.warmupEpochs = 0
    // Two batches make an update behind the warm-up.
    options.recipe.nominalBatch = 8
    return options
  }

  private func bytes(_ path: FilePath) throws -> [UInt8] {
    let file = try FileBytes(mapping: path)
    return withExtendedLifetime(file) { Array(file.bytes) }
  }

  private func withTemporaryFolder(_ body: (FilePath) throws -> Void) throws {
    let folder = try TemporaryFolder()
    try withExtendedLifetime(folder) { try body(folder.path) }
  }

  @Test func goesOnAsIfItHadNotStopped() throws {
    try withTemporaryFolder { root in
      let sets = try sets(root)
      var options = options
      options.keepsState = true
      var updates: [Bool] = []
      let training = try DetectorTraining(sets, options: options, folder: root.appending("whole"))
      #expect(training.stepsPerEpoch == 3)
      let whole = try training.run(observing: { if case .step(let step) = $0 { updates.append(step.isUpdate) } })
      #expect(!whole.isInterrupted)
      #expect(whole.epochs.map { $0.scores != nil } == [false, true, true])
      // Of the warm-up's batches first one makes an update, then two; an epoch forgets what is left.
      #expect(updates == [true, true, false, true, false, true, false, true, false])
      // Stopped where gradients wait for an update, and behind one.
      for stops in [[5], [4, 8], [2]] {
        let folder = root.appending("parts\(stops[0])")
        var steps = 0
        for (index, stop) in stops.enumerated() {
          let training =
            try index == 0
            ? DetectorTraining(sets, options: options, folder: folder) : DetectorTraining(sets, resuming: folder)
          #expect(try training.run(shouldStop: { steps == stop }) { if case .step = $0 { steps += 1 } }.isInterrupted)
        }
        let last = try DetectorTraining(sets, resuming: folder).run()
        #expect(!last.isInterrupted && last.best == whole.best)
        for name in ["last.pt", "best.pt"] {
          #expect(try bytes(folder.appending(name)) == bytes(root.appending("whole").appending(name)), "\(name)")
        }
      }
    }
  }

  @Test func stripsAtTheEnd() throws {
    try withTemporaryFolder { root in
      let sets = try sets(root)
      var options = options
      options.keptEpochs = 1
      let folder = root.appending("run")
      _ = try DetectorTraining(sets, options: options, folder: folder).run()
      for name in ["last.pt", "best.pt", "2.pt", "args.yaml", "results.csv", "report.html"] {
        #expect(FileFolder.exists(folder.appending(name)), "\(name)")
      }
      let last = try Checkpoint(contentsOf: folder.appending("last.pt"))
      #expect(last.entry("epoch") == .int(2) && last.entry("optimizer") == Attribute.none)
      let module = try #require(last.preferred.module)
      #expect(module.stateDict()["backbone.stem.rbr_dense.conv.weight"]?.dtype == .float16)
      let refused = refusal { _ = try DetectorTraining(sets, resuming: folder) }
      #expect(refused?.contains("was stripped") == true, "\(refused ?? "nothing")")
      // What was kept goes on.
      let kept = try Checkpoint(contentsOf: folder.appending("2.pt"), key: "model")
      #expect(kept.preferred.module?.stateDict()["backbone.stem.rbr_dense.conv.weight"]?.dtype == .float32)
    }
  }

  @Test(arguments: ["yolov5n", "yolov6lite_s", "yolov6n"]) func learns(_ name: String) throws {
    try withTemporaryFolder { root in
      let sets = try sets(root, count: 8)
      var options = DetectorTrainingOptions()
      options.model = name
      options.recipe = DetectorRecipe.published(for: name).forSmallSets
      options.fusesAnchors = name == "yolov6n"
      (options.epochs, options.batchSize, options.imageSize, options.judgesLastAlone) = (6, 4, 64, true)
      options.recipe.warmupMinimumSteps = 2
      let training = try DetectorTraining(sets, options: options, folder: root.appending("run"))
      var losses: [Double] = []
      let outcome = try training.run(observing: { if case .step(let step) = $0 { losses.append(step.total) } })
      #expect(losses.count == 12 && losses.allSatisfy(\.isFinite))
      #expect(losses.suffix(3).reduce(0, +) < losses.prefix(3).reduce(0, +), "\(losses)")
      #expect(outcome.epochs.compactMap(\.scores).count == 1)
      let best = try Detector(contentsOf: root.appending("run").appending("best.pt"))
      #expect(best.classCount == 3 && best.classNames[1] == "green")
      // A run of its weights for other classes takes all but the head's last layers.
      try write("train: images/train\nnames: [a, b, c, d]\n", to: root.appending("other.yaml"))
      (options.pretrained, options.epochs) = (root.appending("run").appending("best.pt").string, 1)
      let other = try DetectionSets(contentsOf: root.appending("other.yaml"))
      var notes: [String] = []
      _ = try DetectorTraining(other, options: options, folder: root.appending("other")).run(shouldStop: { true }) {
        if case .note(let text) = $0 { notes.append(text) }
      }
      #expect(notes.contains { $0.contains("begin anew") }, "\(notes)")
    }
  }

  @Test func refusesWhatCannotBeTrained() throws {
    try withTemporaryFolder { root in
      let sets = try sets(root)
      func message(_ sets: DetectionSets, _ change: (inout DetectorTrainingOptions) throws -> Void) -> String {
        refusal {
          var options = options
          try change(&options)
          _ = try DetectorTraining(sets, options: options, folder: root.appending("new")).run()
        } ?? "nothing"
      }
      #expect(message(sets) { $0.epochs = 0 }.contains("1 to 1000000 epochs"))
      #expect(message(sets) { $0.batchSize = 0 }.contains("1 to 65536 pictures"))
      #expect(message(sets) { $0.imageSize = 31 }.contains("32 to 8192"))
      #expect(message(sets) { ($0.imageSize, $0.batchSize) = (32, 3) }.contains("batch norms learn nothing"))
      #expect(message(sets) { $0.model = "resnet18" }.contains("is no detector"))
      #expect(message(sets) { $0.model = "yolov6z" }.contains("yolov6"))
      #expect(message(sets) { ($0.model, $0.fusesAnchors) = ("yolov6n6", true) }.contains("no branch of anchors"))
      #expect(message(sets) { $0.recipe.learningRate = 0 }.contains("lr0"))
      #expect(message(sets) { $0.recipe.averageDecay = 1 }.contains("ema_decay"))
      #expect(message(sets) { try $0.recipe.set("mosaik", to: 1) }.contains("mosaic"))
      #expect(message(sets) { $0.recipe.augmentation.mosaic = 2 }.contains("mosaic"))
      #expect(message(sets) { $0.pretrained = root.appending("no.pt").string }.contains("no.pt"))
      #expect(!FileFolder.exists(root.appending("new")))
      try set(in: root, "empty", count: 3, boxless: true)
      try write("train: images/empty\nnames: [red]\n", to: root.appending("empty.yaml"))
      #expect(
        try message(DetectionSets(contentsOf: root.appending("empty.yaml"))) { _ in }.contains("not one box"))
      let run = root.appending("run")
      _ = try DetectorTraining(sets, options: options, folder: run).run(shouldStop: { true })
      #expect(
        refusal { _ = try DetectorTraining(sets, options: options, folder: run) }?.contains("holds a run") == true)
      try write("train: images/train\nnames: [a, b, c]\n", to: root.appending("names.yaml"))
      let others = try DetectionSets(contentsOf: root.appending("names.yaml"))
      #expect(refusal { _ = try DetectorTraining(others, resuming: run) }?.contains("classes") == true)
    }
  }

  @Test func losesNothingAtAPictureThatCannotBeRead() throws {
    try withTemporaryFolder { root in
      let sets = try sets(root)
      let folder = root.appending("run")
      var steps = 0
      let training = try DetectorTraining(sets, options: options, folder: folder, workers: 1)
      let whole = try bytes(root.appending("images/train/7.png"))
      try write("no picture", to: root.appending("images/train/7.png"))
      let message = refusal { _ = try training.run(observing: { if case .step = $0 { steps += 1 } }) } ?? "nothing"
      #expect(message.contains("7.png"), "\(message)")
      let file = try AtomicFile(replacing: root.appending("images/train/7.png"))
      try file.write(whole)
      try file.commit()
      var options = options
      options.keepsState = true
      _ = try DetectorTraining(sets, options: options, folder: root.appending("whole")).run()
      if steps > 0 {
        let outcome = try DetectorTraining(sets, resuming: folder).run()
        #expect(!outcome.isInterrupted)
        #expect(try bytes(folder.appending("best.pt")).count == bytes(root.appending("whole/best.pt")).count)
      }
    }
  }
}
