import ModelCheckpoints
import ModelCore
import ModelData
import ModelEngine
import ModelTraining
import ModelWorkflows
import SystemPackage
import TestSupport
import Testing

@Suite struct ClassifierTrainingTests {
  /// Pictures whose brightest channel is their class, with noise.
  private func set(_ count: Int, seed: Int = 1, size: Int = 16) throws -> ClassificationSet {
    var numbers = Generator(seed)
    let labels = (0..<count).map { $0 % 3 }
    let bytes = labels.flatMap { label in
      (0..<size * size * 3).map { place in
        UInt8(Int.random(in: 0..<100, using: &numbers) + (place % 3 == label ? 120 : 0))
      }
    }
    return try ClassificationSet(
      name: "made", pictures: tensor(.uint8, [count, size, size, 3], bytes), labels: labels)
  }

  private var options: ClassifierTrainingOptions {
    var options = ClassifierTrainingOptions()
    (options.model, options.epochs, options.batchSize, options.ema) = ("mobilenet_v3_small", 3, 8, 0.9)
    return options
  }

  private func bytes(_ folder: FilePath, _ name: String) throws -> [UInt8] {
    let file = try FileBytes(mapping: folder.appending(name))
    return withExtendedLifetime(file) { Array(file.bytes) }
  }

  private func withTemporaryFolder(_ body: (FilePath) throws -> Void) throws {
    let folder = try TemporaryFolder()
    try withExtendedLifetime(folder) { try body(folder.path) }
  }

  @Test func learnsAndWritesWhatItLearned() throws {
    try withTemporaryFolder { root in
      var options = options
      (options.ema, options.epochs) = (nil, 6)
      let sets = try ClassificationSets(training: set(49), validation: set(24, seed: 2))
      let training = try ClassifierTraining(sets, options: options, folder: root.appending("run"))
      // The last picture alone makes no batch.
      #expect(training.stepsPerEpoch == 6)
      let outcome = try training.run()
      #expect(outcome.epochs.map(\.epoch) == [1, 2, 3, 4, 5, 6])
      let losses = outcome.epochs.map(\.trainLoss)
      #expect(try #require(losses.last) < losses[0])
      #expect(outcome.best == outcome.epochs.compactMap(\.top1).max())
      let best = try Checkpoint(contentsOf: root.appending("run").appending("best.pt"), key: "model")
      let scores = try best.computableModule().evaluate(
        on: sets.validation ?? sets.training, .evaluation(of: sets.training, imageSize: nil))
      #expect(scores.top1 == outcome.best)
      #expect(scores.confusion.flatMap(\.self).reduce(0, +) == 24)
      #expect(scores.predictions.count == 24)
    }
  }

  @Test func goesOnAsIfItHadNotStopped() throws {
    try withTemporaryFolder { root in
      let sets = try ClassificationSets(training: set(40), validation: nil)
      let whole = try ClassifierTraining(sets, options: options, folder: root.appending("whole")).run()
      #expect(!whole.isInterrupted)
      // After the third of five steps of the second epoch, and again after the first of the third.
      var steps = 0
      let begun = try ClassifierTraining(sets, options: options, folder: root.appending("parts"))
      let first = try begun.run(shouldStop: { steps == 8 }) { if case .step = $0 { steps += 1 } }
      #expect(first.isInterrupted && first.epochs.count == 1)
      let second = try ClassifierTraining(sets, resuming: root.appending("parts")).run(shouldStop: { steps == 11 }) {
        if case .step = $0 { steps += 1 }
      }
      #expect(second.isInterrupted && second.epochs.count == 1)
      let third = try ClassifierTraining(sets, resuming: root.appending("parts")).run()
      #expect(third.epochs.last?.trainLoss == whole.epochs.last?.trainLoss)
      #expect(third.best == whole.best)
      for name in ["last.pt", "best.pt"] {
        #expect(try bytes(root.appending("parts"), name) == bytes(root.appending("whole"), name))
      }
    }
  }

  @Test func refusesWhatCannotBeTrained() throws {
    try withTemporaryFolder { root in
      let sets = try ClassificationSets(training: set(16), validation: nil)
      func message(_ change: (inout ClassifierTrainingOptions) -> Void) -> String {
        var options = options
        change(&options)
        return refusal {
          _ = try ClassifierTraining(sets, options: options, folder: root.appending("new")).run()
        } ?? "nothing"
      }
      #expect(message { $0.epochs = 0 }.contains("1 to 1000000 epochs"))
      #expect(message { $0.batchSize = 0 }.contains("1 to 1048576 pictures"))
      #expect(message { $0.momentum = 2 }.contains("momentum is 0 to 1"))
      #expect(message { $0.ema = 1 }.contains("decay"))
      #expect(message { $0.model = "yolov5n" }.contains("no classifier"))
      #expect(message { $0.imageSize = [0, 8] }.contains("16384"))
      #expect(message { $0.learningRate = 0 }.contains("above 0"))
      #expect(message { ($0.nesterov, $0.optimizer) = (true, .adam) }.contains("--nesterov"))
      #expect(message { ($0.nesterov, $0.momentum) = (true, 0) }.contains("--nesterov"))
      #expect(message { $0.warmupEpochs = 3 }.contains("fewer than the run's 3 epochs"))
      #expect(message { $0.model = "vit_b_32" }.contains("pictures come as 16x16"))
      if (try? Precision.bfloat16.requireSupport()) == nil {
        #expect(message { $0.precision = .bfloat16 }.contains("compute in float32"))
      }
      #expect(!FileFolder.exists(root.appending("new")))
      #expect(message { $0.pretrained = root.appending("nothing.pt").string }.contains("nothing.pt"))
      let one = try ClassificationSet(
        name: "made", pictures: tensor(.uint8, [2, 1, 1, 3], [UInt8](repeating: 0, count: 6)), labels: [0, 0],
        classNames: ["cat"])
      #expect(
        refusal {
          _ = try ClassifierTraining(
            ClassificationSets(training: one, validation: nil), options: options, folder: root.appending("new"))
        }?.contains("one class alone (cat)") == true)
      let file = root.appending("file")
      let empty = try AtomicFile(replacing: file)
      try empty.write([])
      try empty.commit()
      #expect(
        refusal { _ = try ClassifierTraining(sets, options: options, folder: file) }?.contains("is a file") == true)
      let run = root.appending("run")
      _ = try ClassifierTraining(sets, options: options, folder: run).run(shouldStop: { true })
      #expect(
        refusal { _ = try ClassifierTraining(sets, options: options, folder: run) }?.contains("holds a run") == true)
      let others = try ClassificationSets(training: set(16).renamed(["a", "b", "c"]), validation: nil)
      #expect(refusal { _ = try ClassifierTraining(others, resuming: run) }?.contains("classes") == true)
      let fewer = try ClassificationSets(training: set(15), validation: nil)
      #expect(refusal { _ = try ClassifierTraining(fewer, resuming: run) }?.contains("15 pictures") == true)
      #expect(refusal { _ = try ClassifierTraining(sets, resuming: root.appending("no")) }?.contains("last.pt") == true)
    }
  }

  @Test func stopsAtALossThatIsNotFinite() throws {
    try withTemporaryFolder { root in
      var options = options
      (options.learningRate, options.ema, options.epochs) = (1e30, nil, 50)
      let sets = try ClassificationSets(training: set(24), validation: nil)
      let training = try ClassifierTraining(sets, options: options, folder: root.appending("run"))
      let message = refusal { _ = try training.run() } ?? ""
      #expect(message.contains("loss of step") && message.contains("made"), "\(message)")
    }
  }

  @Test func fallsByItsSchedule() throws {
    var options = ClassifierTrainingOptions()
    (options.epochs, options.learningRate, options.schedule, options.finalShare) = (4, 1, .linear, 0)
    #expect(
      try (0..<8).map { try options.learningRate(step: $0, stepsPerEpoch: 2) } == [
        1, 1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25,
      ])
    options.warmupEpochs = 1.5
    #expect(try options.learningRate(step: 0, stepsPerEpoch: 2) == 0.25)
    #expect(try options.learningRate(step: 3, stepsPerEpoch: 2) == 0.75)
    (options.schedule, options.warmupEpochs, options.epochs) = (.step, 0, 6)
    #expect(try options.learningRate(step: 4, stepsPerEpoch: 2) == 0.1)
  }

  @Test func keepsOptionsInAFile() throws {
    var options = options
    (options.imageSize, options.clipNorm) = ([32, 48], 1.5)
    #expect(try ClassifierTrainingOptions(json: options.json(), file: "x") == options)
    #expect(
      refusal { _ = try ClassifierTrainingOptions(json: "{\"epochs\": 1}", file: "x") }?.contains("options") == true)
  }
}
