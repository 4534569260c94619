import Foundation
import ModelUtils
import Testing

@Suite struct Detecting {
  @Test func boxesAndClasses() throws {
    try withFolder { folder in
      let (model, photo, output) = ("\(folder)/model.pt", "\(folder)/photo.jpg", "\(folder)/found.jpg")
      try ImageFile.embeddedSample().write(to: photo)
      _ = try Checkpoint(Architecture(named: "yolov5n").module(), name: "yolov5n").write(to: model)

      let detector = try Detector(contentsOf: model)
      let picture = try ImageFile(contentsOf: photo)
      let found = try detector.detect(in: picture, .init(imageSize: [320, 320], confidence: 0.4))
      for thing in found { print(thing.className, thing.score, thing.box) }
      try drawn(found, on: picture).write(to: output)
      #expect(found.allSatisfy { $0.score > 0.4 })
      let annotated = try ImageFile(contentsOf: output)
      #expect(annotated.height == picture.height && annotated.width == picture.width)

      let (data, page) = ("\(folder)/data.yaml", "\(folder)/judged.html")
      try FileManager.default.createDirectory(atPath: "\(folder)/images", withIntermediateDirectories: true)
      try FileManager.default.createDirectory(atPath: "\(folder)/labels", withIntermediateDirectories: true)
      try picture.write(to: "\(folder)/images/photo.jpg")
      try Data("0 0.5 0.5 0.5 0.5\n".utf8).write(to: URL(fileURLWithPath: "\(folder)/labels/photo.txt"))
      try Data("val: images\nnc: 80\n".utf8).write(to: URL(fileURLWithPath: data))
      let set = try DetectionDescription(contentsOf: data).set(.val)
      let module = try Checkpoint(contentsOf: model).computableModule()
      var validation = try DetectorValidation(.init(of: module))
      validation.imageSize = 320
      let scores = try validation.scores(of: module, on: set)
      print(scores.averagePrecision50, scores.averagePrecision, scores.precision, scores.recall)
      for item in scores.classes { print(item.className, item.averagePrecision) }
      try scores.page(title: "Judged").write(to: page)
      #expect(scores.count == 1 && scores.instanceCount == 1)

      let classifier = try Classifier(Architecture(named: "resnet18").module())
      for guess in try classifier.classify(picture).prefix(5) { print(guess.className, guess.probability) }
      let guesses = try classifier.classify(picture)
      #expect(
        guesses.count == 1000 && zip(guesses, guesses.dropFirst()).allSatisfy { $0.probability >= $1.probability })

      let photos = [photo, output]
      pipelined(
        photos, read: { try detector.prepare(ImageFile(contentsOf: $0)) }, work: { try detector.detect(in: $1) },
        write: { print($0, $1.count) }, finished: { _, result in if case .failure(let error) = result { print(error) } }
      )
    }
  }
}
