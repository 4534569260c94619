import ModelUtils
import SystemPackage
import TestSupport
import Testing

/// The snippets of the article Learning.
@Suite struct Learning {
  private func sets() throws -> ClassificationSets {
    let pixels = (0..<6 * 32 * 32 * 3).map { UInt8(truncatingIfNeeded: $0 * $0 / 7) }
    let pictures = try Tensor(.uint8, [6, 32, 32, 3]) { $0.copyBytes(from: pixels) }
    let set = try ClassificationSet(name: "six", pictures: pictures, labels: [0, 1, 0, 1, 0, 1])
    return try ClassificationSets(training: set, validation: set)
  }

  @Test func aRun() throws {
    let temporary = try TemporaryFolder()
    let folder = temporary.path
    let sets = try sets()

    var options = ClassifierTrainingOptions()
    (options.model, options.epochs, options.batchSize) = ("resnet18", 2, 4)
    let training = try ClassifierTraining(sets, options: options, folder: folder.appending("run"))
    let outcome = try training.run(observing: { event in
      if case .epoch(let result) = event { print(result.epoch, result.trainLoss, result.top1 ?? 0) }
    })
    #expect(outcome.epochs.count == 2 && !outcome.isInterrupted)

    let further = try ClassifierTraining(sets, resuming: folder.appending("run"))
    #expect(try further.run().epochs.isEmpty)

    let world = try currentCommunicator()
    let ranked = try ClassifierTraining(
      sets, options: options, folder: folder.appending("ranks"), communicator: world)
    #expect(ranked.stepsPerEpoch == 2)
    withExtendedLifetime(temporary) {}
  }

  @Test func aDetectorsRun() throws {
    let temporary = try TemporaryFolder()
    let folder = temporary.path
    _ = try DrawnSet(.shapes, size: 64, seed: 7).write(to: folder.appending("shapes"), training: 8, validation: 2)

    var plan = DetectorTrainingOptions()
    (plan.model, plan.epochs, plan.batchSize, plan.imageSize) = ("yolov6lite_s", 1, 4, 64)
    plan.recipe = DetectorRecipe.published(for: plan.model).forSmallSets
    let boxes = try DetectionSets(contentsOf: folder.appending("shapes/data.yaml"))
    let run = try DetectorTraining(boxes, options: plan, folder: folder.appending("boxes"))
    let end = try run.run(observing: { event in
      if case .epoch(let result) = event { print(result.epoch, result.scores?.averagePrecision50 ?? 0) }
    })
    let detector = try Detector(contentsOf: folder.appending("boxes/best.pt"))
    #expect(end.epochs.count == 1 && detector.classCount == 6)
    withExtendedLifetime(temporary) {}
  }

  @Test func steps() throws {
    let net = try smallNet()
    let pictures = try Tensor((0..<384).map { Float($0 % 17) / 17 }, [2, 3, 8, 8])
    let labels = try Tensor([Int64(0), 1])

    let rule = OptimizerRule.sgd(SGD(learningRate: 0.05, momentum: 0.9, nesterov: true))
    let learner = try Learner(net, inputs: [TensorType(.float32, [2, 3, 8, 8])], rule: rule, averageDecay: 0.999) {
      graph, outputs in
      try graph.crossEntropy(outputs[0], graph.addInput("labels"), classes: 2, smoothing: 0.1)
    }
    for _ in 0..<10 {
      let step = try learner.step([pictures, labels], clipping: .norm(maximum: 10))
      print(learner.updates, step.loss, step.gradientNorm ?? 0)
    }
    let learned = try learner.updated(averaged: true)
    #expect(learner.updates == 10)
    #expect(learned.stateDict().tensors.count == net.stateDict().tensors.count)
  }

  @Test func boxes() throws {
    let temporary = try TemporaryFolder()
    let folder = temporary.path

    let drawn = try DrawnSet(.shapes, size: 64, seed: 7)
    let written = try drawn.write(to: folder.appending("shapes"), training: 20, validation: 5)
    let description = try DetectionDescription(contentsOf: folder.appending("shapes/data.yaml"))
    let report = try description.report(.train)
    print(report.pictureCount, report.boxesByClass, report.faultCount)
    #expect(written?.objectsByClass[.train] == report.boxesByClass && report.pictureCount == 20)
    withExtendedLifetime(temporary) {}
  }

  @Test func losses() throws {
    let scores = try Tensor([Float](repeating: 0.1, count: 2 * 189 * 6), [2, 189, 6])
    let distances = try Tensor([Float](repeating: 2, count: 2 * 189 * 4), [2, 189, 4])

    let loss = try YOLOv6Loss(classes: 6, overlap: .siou, warmupEpochs: 4)
    let box = DetectionTargets.Row(picture: 0, classIndex: 2, centerX: 0.5, centerY: 0.4, width: 0.3, height: 0.2)
    let found = try loss([scores, distances], DetectionTargets([box]), height: 96, width: 96, epoch: 0)
    for item in found.items { print(item.name, item.value) }
    #expect(found.gradients.map(\.shape) == [scores.shape, distances.shape])
    #expect(found.items.map(\.name) == ["iou_loss", "dfl_loss", "cls_loss"])
  }

  @Test func gradients() throws {
    let net = try smallNet()
    let pictures = try Tensor((0..<384).map { Float($0 % 17) / 17 }, [2, 3, 8, 8])
    let labels = try Tensor([Int64(0), 1])

    var graph = try Graph(net, mode: .training)
    let loss = try graph.crossEntropy(graph.outputs[0], graph.addInput("labels"), classes: 2)
    let types = [TensorType(.float32, [2, 3, 8, 8]), TensorType(.int64, [2])]
    let training = try graph.gradients(of: loss, for: types)
    let values = try training.graph.reference([pictures, labels], of: Array(training.gradients.values))
    #expect(values.count == 5)
  }
}
