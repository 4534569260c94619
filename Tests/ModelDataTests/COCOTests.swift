import Foundation
import ModelCore
import ModelData
import ModelImages
import TestSupport
import Testing

@Suite struct COCOTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func set(_ pictures: [String: String]) throws -> DetectionSet {
    for (name, rows) in pictures {
      try FolderMaker.make(folder["images/\(name).png"])
      try FolderMaker.make(folder["labels/\(name).txt"])
      try ImageFile(pixels: picture(40, 50, 3)).write(to: folder["images/\(name).png"])
      try folder.write(rows, to: "labels/\(name).txt")
    }
    try folder.write("val: images\nnames: [x, y]\n", to: "data.yaml")
    return try DetectionDescription(contentsOf: folder["data.yaml"]).set(.val)
  }

  @Test func writing() throws {
    let set = try set(["000012": "1 0.5 0.5 0.5 0.25\n0 .25 .75 .5 .5\n", "7": "", "3": "1 .5 .5 1 1"])
    #expect(set.imageIDs == [12, 3, 7])
    try set.writeCOCO(to: folder["annotations/instances.json"])
    let data = try Data(contentsOf: URL(fileURLWithPath: folder["annotations/instances.json"].string))
    let file = try #require(try JSONSerialization.jsonObject(with: data) as? [String: [[String: Any]]])
    #expect(file["categories"]?.map { $0["id"] as? Int } == [0, 1])
    #expect(file["images"]?.map { $0["id"] as? Int } == [12, 3, 7])
    #expect(file["images"]?.map { $0["file_name"] as? String } == ["000012.png", "3.png", "7.png"])
    #expect(file["images"]?.first?["width"] as? Int == 50 && file["images"]?.first?["height"] as? Int == 40)
    let annotations = try #require(file["annotations"])
    #expect(annotations.map { $0["id"] as? Int } == [1, 2, 3])
    #expect(annotations.map { $0["image_id"] as? Int } == [12, 12, 3])
    #expect(annotations.map { $0["category_id"] as? Int } == [1, 0, 1])
    #expect(annotations[0]["bbox"] as? [Double] == [12.5, 15, 25, 10] && annotations[0]["area"] as? Double == 250)
    // And back.
    let again = try DetectionSet(coco: folder["annotations/instances.json"], pictures: folder["images"])
    #expect(again.samples.map(\.path) == set.samples.map(\.path) && again.classNames == set.classNames)
    #expect(again.samples.map(\.size) == set.samples.map(\.size))
    #expect(again.samples.map(\.labels) == set.samples.map(\.labels))
    #expect(again.samples.map(\.imageID) == [12, 3, 7])
    #expect(try again.cocoInstances() == set.cocoInstances())
  }

  @Test func numbersOfPictures() throws {
    #expect(try set(["a": "", "1": "", "2": ""]).imageIDs == [1, 2, 3])
    #expect(try set(["01": ""]).imageIDs == [1, 2, 3, 4])
  }

  private func read(_ images: String, _ annotations: String = "", categories: String? = nil) throws -> DetectionSet {
    _ = try set(["a": ""])
    let known = categories ?? #"{"id": 9, "name": "nine"}, {"name": "four", "id": 4, "supercategory": "x"}"#
    let text =
      #"{"annotations": [\#(annotations)], "info": {"a": [1]}, "categories": [\#(known)], "images": [\#(images)]}"#
    try folder.write(text, to: "instances.json")
    return try DetectionSet(coco: folder["instances.json"], pictures: folder["images"])
  }

  private let image = #"{"id": 5, "file_name": "a.png", "height": 40, "width": 50}"#

  @Test func reading() throws {
    let set = try read(
      image,
      #"""
      {"id": 1, "image_id": 5, "category_id": 9, "bbox": [5, 4, 10, 2e1], "iscrowd": 0, "segmentation": [[1, 2]]},
      {"id": 1, "image_id": 5, "category_id": 4, "bbox": [-5, 30, 10, 20.5]},
      {"id": 1, "image_id": 5, "category_id": 4, "bbox": [0, 0, 50, 40], "iscrowd": 1, "segmentation": {"counts": "x"}}
      """#)
    #expect(set.classNames == ["four", "nine"])
    #expect(
      set.samples[0].labels == [
        BoxLabel(classIndex: 1, x: 0.2, y: 0.35, width: 0.2, height: 0.5),
        BoxLabel(classIndex: 0, x: 0.05, y: 0.875, width: 0.1, height: 0.25),
      ])
    #expect(set.report.notes.map(\.reason) == ["has 1 annotations of crowds, which are left out"])
  }

  @Test(arguments: [
    (#"{"id": 5, "file_name": "a.png", "height": 40}"#, "", "an image lacks its"),
    (#"{"id": 5, "file_name": "../a.png", "height": 40, "width": 50}"#, "", "outside of its folder"),
    (#"{"id": 5, "file_name": "b.png", "height": 40, "width": 50}"#, "", "names a picture that is not there"),
    (#"{"id": 5, "file_name": "a.png", "height": 50, "width": 40}"#, "", "is 50x40 pixels upright"),
    (#"{"id": 5, "file_name": "a.png", "height": 0, "width": 40}"#, "", "no side of 0"),
    (#"{"id": -5, "file_name": "a.png", "height": 40, "width": 50}"#, "", "whole number"),
    ("", "", "has no pictures"), ("1", "", "an object"), ("", #"{"image_id": 1}"#, "an annotation lacks its"),
    ("", #"{"image_id": 1, "category_id": 4, "bbox": [1, 2, 3, 4]}"#, "image that is not there, 1"),
    ("", #"{"image_id": 1, "category_id": 4, "bbox": [1, 2, 3]}"#, "bbox of four numbers"),
  ]) func faults(images: String, annotations: String, reason: String) throws {
    let message = refusal { _ = try read(images, annotations) }
    #expect(message?.contains(reason) == true, "\(message ?? "accepted")")
  }

  @Test(arguments: [
    (
      #"{"image_id": 5, "category_id": 7, "bbox": [1, 2, 3, 4]}"#, "annotation 0: is of a category that is not there, 7"
    ),
    (#"{"image_id": 5, "category_id": 4, "bbox": [60, 2, 3, 4]}"#, "of which nothing lies in its picture"),
    (#"{"image_id": 5, "category_id": 4, "bbox": [6, 2, -3, 4]}"#, "of which nothing lies in its picture"),
    (#"{"image_id": "5", "category_id": 4, "bbox": [6, 2, 3, 4]}"#, "image that is not there, '5'"),
  ]) func badAnnotations(annotation: String, reason: String) throws {
    let message = refusal { _ = try read(image, annotation) }
    #expect(message?.contains(reason) == true, "\(message ?? "accepted")")
  }

  @Test func badCategories() throws {
    #expect(refusal { _ = try read(image, categories: "") }?.contains("has 0 categories") == true)
    let twice = #"{"id": 4, "name": "a"}, {"id": 4, "name": "b"}"#
    #expect(refusal { _ = try read(image, categories: twice) }?.contains("several categories") == true)
    #expect(refusal { _ = try read(image + ", " + image) }?.contains("several images with the id 5") == true)
  }
}
