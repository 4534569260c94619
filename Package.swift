// swift-tools-version: 6.1
import PackageDescription

// The house, from the ground up. One folder is one target; imports run only downwards.

let library = "Sources/ModelUtils"

// MARK: Ground: C code and system libraries

let ground: [Target] = [
  .systemLibrary(
    name: "CZlib", path: "\(library)/CSystem/CZlib", pkgConfig: "zlib",
    providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
  .systemLibrary(
    name: "CPNG", path: "\(library)/CSystem/CPNG", pkgConfig: "libpng",
    providers: [.apt(["libpng-dev"]), .brew(["libpng"])]),
  .systemLibrary(
    name: "CJPEG", path: "\(library)/CSystem/CJPEG", pkgConfig: "libjpeg",
    providers: [.apt(["libjpeg-dev"]), .brew(["jpeg-turbo"])]),
  // Open MPI, with the trait MPI alone.
  .systemLibrary(
    name: "COpenMPI", path: "\(library)/CSystem/COpenMPI", pkgConfig: "ompi-c",
    providers: [.apt(["libopenmpi-dev"]), .brew(["open-mpi"])]),
  .target(
    name: "CMPI", dependencies: [.target(name: "COpenMPI", condition: .when(traits: ["MPI"]))], path: "\(library)/CMPI",
    cSettings: [.define("MODELUTILS_MPI", .when(traits: ["MPI"]))]),
  .target(name: "CRuntime", path: "\(library)/CRuntime"),
  // libcurl is loaded when something is downloaded; nothing of it is needed here.
  .target(name: "CDownload", path: "\(library)/CDownload"),
  .target(name: "CKernels", path: "\(library)/CKernels"),
  // oneDNN's headers; the library is loaded when something is first computed.
  .target(name: "CEngine", path: "\(library)/CEngine"),
  .target(
    name: "CCodecs", dependencies: ["CPNG", "CJPEG"], path: "\(library)/CCodecs",
    linkerSettings: [.linkedLibrary("png"), .linkedLibrary("jpeg")]),
  .target(
    name: "CResources", path: "Resources",
    exclude: [
      "sample.jpg", "make_sample.py", "detector.pt", "detector.yaml", "make_detector.py", "detected.jpg",
      "make_detected.py", "mutils.1",
    ]),
]

// MARK: The library

let floors: [Target] = [
  .target(
    name: "ModelCore",
    dependencies: [
      "CKernels", "CRuntime",
      .product(name: "Logging", package: "swift-log"),
      .product(name: "OrderedCollections", package: "swift-collections"),
      .product(name: "SystemPackage", package: "swift-system"),
    ],
    path: "\(library)/Core"),
  .target(name: "ModelRandom", dependencies: ["ModelCore", "CKernels"], path: "\(library)/Random"),
  .target(
    name: "ModelGraph",
    dependencies: ["ModelCore", .product(name: "OrderedCollections", package: "swift-collections")],
    path: "\(library)/Graph"),
  .target(
    name: "ModelAutograd",
    dependencies: ["ModelCore", "ModelGraph", .product(name: "OrderedCollections", package: "swift-collections")],
    path: "\(library)/Autograd"),
  .target(
    name: "ModelRuntime",
    dependencies: [
      "ModelCore", "CKernels", "CCodecs", "CRuntime", "CZlib",
      .target(name: "CMPI", condition: .when(traits: ["MPI"])),
      .product(name: "Logging", package: "swift-log"),
      .product(name: "SystemPackage", package: "swift-system"),
    ],
    path: "\(library)/Runtime"),
  .target(
    name: "ModelCheckpoints",
    dependencies: [
      "ModelCore", "CKernels", "CZlib",
      .product(name: "Logging", package: "swift-log"),
      .product(name: "SystemPackage", package: "swift-system"),
    ],
    path: "\(library)/Checkpoints"),
  .target(
    name: "ModelONNX",
    dependencies: [
      "ModelCore", "ModelGraph", "ModelCheckpoints", .product(name: "OrderedCollections", package: "swift-collections"),
    ],
    path: "\(library)/ONNX"),
  .target(
    name: "ModelDownloads",
    dependencies: [
      "ModelCore", "CDownload", "CKernels", .product(name: "SystemPackage", package: "swift-system"),
    ],
    path: "\(library)/Downloads"),
  .target(
    name: "ModelEngine",
    dependencies: ["ModelCore", "ModelGraph", "CEngine", "CKernels", .product(name: "Logging", package: "swift-log")],
    path: "\(library)/Engine"),
  .target(
    name: "ModelArchitectures", dependencies: ["ModelCore", "ModelRandom", "ModelGraph"],
    path: "\(library)/Architectures"),
  .target(
    name: "ModelInspection", dependencies: ["ModelCore", "ModelGraph", "ModelArchitectures", "CKernels"],
    path: "\(library)/Inspection"),
  .target(
    name: "ModelImages",
    dependencies: [
      "ModelCore", "CCodecs", "CKernels", "CResources",
      .product(name: "SystemPackage", package: "swift-system"),
    ],
    path: "\(library)/Images"),
  .target(
    name: "ModelSurgery",
    dependencies: [
      "ModelCore", "ModelRandom", "ModelGraph", "ModelCheckpoints", "ModelArchitectures", "ModelDownloads", "CKernels",
      .product(name: "SystemPackage", package: "swift-system"),
    ],
    path: "\(library)/Surgery"),
  .target(name: "ModelAveraging", dependencies: ["ModelCore", "CKernels"], path: "\(library)/Averaging"),
  .target(
    name: "ModelTraining",
    dependencies: ["ModelCore", "ModelGraph", "ModelAutograd", "ModelArchitectures", "ModelEngine", "CKernels"],
    path: "\(library)/Training"),
  .target(
    name: "ModelData",
    dependencies: [
      "ModelCore", "ModelRandom", "ModelImages", "ModelCheckpoints", "CKernels", "CZlib",
      .product(name: "SystemPackage", package: "swift-system"),
    ],
    path: "\(library)/Data"),
  .target(name: "ModelDetection", dependencies: ["ModelCore"], path: "\(library)/Detection"),
  .target(
    name: "ModelReports",
    dependencies: ["ModelCore", "ModelImages", .product(name: "SystemPackage", package: "swift-system")],
    path: "\(library)/Reports"),
  .target(
    name: "ModelWorkflows",
    dependencies: [
      "ModelCore", "ModelRandom", "ModelGraph", "ModelRuntime", "ModelCheckpoints", "ModelArchitectures",
      "ModelInspection", "ModelImages", "ModelEngine", "ModelSurgery", "ModelONNX", "ModelTraining", "ModelData",
      "ModelDetection", "ModelReports", "CResources",
    ],
    path: "\(library)/Workflows"),
  .target(
    name: "ModelUtils",
    dependencies: [
      "ModelCore", "ModelRandom", "ModelGraph", "ModelRuntime", "ModelCheckpoints", "ModelONNX", "ModelDownloads",
      "ModelArchitectures", "ModelImages", "ModelInspection", "ModelAveraging", "ModelSurgery", "ModelAutograd",
      "ModelEngine", "ModelTraining", "ModelData", "ModelDetection", "ModelReports", "ModelWorkflows",
    ],
    path: "\(library)/ModelUtils"),
]

// MARK: The command

let tools: [Target] = [
  .executableTarget(
    name: "mutils",
    dependencies: [
      "ModelUtils",
      .product(name: "ArgumentParser", package: "swift-argument-parser"),
      .product(name: "Logging", package: "swift-log"),
      .product(name: "SystemPackage", package: "swift-system"),
    ],
    path: "Sources/Tools")
]

// MARK: Tests

let tests: [Target] = [
  .target(
    name: "TestSupport",
    dependencies: ["ModelCore", .product(name: "SystemPackage", package: "swift-system")], path: "Tests/Support"),
  .testTarget(name: "CKernelsTests", dependencies: ["CKernels", "TestSupport"], exclude: ["Goldens"]),
  .testTarget(name: "ModelCoreTests", dependencies: ["ModelCore", "TestSupport"], exclude: ["Goldens"]),
  .testTarget(name: "ModelRandomTests", dependencies: ["ModelRandom", "TestSupport"]),
  .testTarget(name: "ModelGraphTests", dependencies: ["ModelGraph", "TestSupport"], exclude: ["Goldens"]),
  .testTarget(
    name: "ModelAutogradTests",
    dependencies: ["ModelAutograd", "ModelArchitectures", "ModelEngine", "TestSupport"]),
  .testTarget(name: "ModelEngineTests", dependencies: ["ModelEngine", "TestSupport"]),
  .testTarget(
    name: "ModelRuntimeTests",
    dependencies: ["ModelRuntime", "TestSupport", .product(name: "Logging", package: "swift-log")]),
  .testTarget(name: "ModelCheckpointsTests", dependencies: ["ModelCheckpoints", "CZlib", "TestSupport"]),
  .testTarget(name: "ModelONNXTests", dependencies: ["ModelONNX", "TestSupport"]),
  .testTarget(name: "ModelArchitecturesTests", dependencies: ["ModelArchitectures", "TestSupport"]),
  .testTarget(name: "ModelDownloadsTests", dependencies: ["ModelDownloads"]),
  .testTarget(name: "ModelImagesTests", dependencies: ["ModelImages", "CKernels", "CCodecs", "TestSupport"]),
  .testTarget(name: "ModelAveragingTests", dependencies: ["ModelAveraging", "ModelCheckpoints", "CKernels"]),
  .testTarget(
    name: "ModelTrainingTests",
    dependencies: ["ModelTraining", "ModelAutograd", "ModelCheckpoints", "ModelRandom", "TestSupport"],
    exclude: ["Goldens"]),
  .testTarget(name: "ModelDataTests", dependencies: ["ModelData", "CKernels", "TestSupport"], exclude: ["Goldens"]),
  .testTarget(name: "ModelDetectionTests", dependencies: ["ModelDetection", "TestSupport"], exclude: ["Goldens"]),
  .testTarget(name: "ModelReportsTests", dependencies: ["ModelReports", "TestSupport"], exclude: ["Goldens"]),
  .testTarget(
    name: "ModelSurgeryTests",
    dependencies: ["ModelSurgery", "ModelArchitectures", "ModelAveraging", "ModelCheckpoints", "TestSupport"]),
  .testTarget(name: "ModelInspectionTests", dependencies: ["ModelInspection", "ModelCheckpoints"]),
  .testTarget(
    name: "ModelWorkflowsTests",
    dependencies: [
      "ModelWorkflows", "ModelImages", "ModelCheckpoints", "ModelArchitectures", "ModelData", "ModelDetection",
      "TestSupport",
    ]),
  .testTarget(name: "ToolTests", dependencies: ["mutils", "manual"]),
  .executableTarget(name: "manual", path: "Tests/Manual"),
  // What fuzzers' bytes are taken for, libFuzzer's loop around it, and what they have found and begin with, taken once more.
  .target(
    name: "FuzzTargets",
    dependencies: [
      "ModelCore", "ModelGraph", "ModelAutograd", "ModelEngine", "ModelCheckpoints", "ModelONNX", "ModelArchitectures",
      "ModelImages", "ModelInspection", "ModelSurgery", "ModelData", "ModelWorkflows",
      .product(name: "SystemPackage", package: "swift-system"),
    ],
    path: "Tests/Fuzzing/Targets"),
  .executableTarget(
    name: "fuzz", dependencies: ["FuzzTargets", .product(name: "SystemPackage", package: "swift-system")],
    path: "Tests/Fuzzing/Driver",
    swiftSettings: [.define("Fuzzing", .when(traits: ["Fuzzing"]))]),
  .testTarget(name: "FuzzingTests", dependencies: ["FuzzTargets", "TestSupport"]),
  // What the articles of the documentation show, compiled and run.
  .target(name: "OtherFramework", path: "Tests/Examples/OtherFramework"),
  .testTarget(
    name: "Examples", dependencies: ["ModelUtils", "OtherFramework", "TestSupport"], exclude: ["OtherFramework"]),
  .executableTarget(
    name: "interpret", dependencies: ["ModelUtils", .product(name: "SystemPackage", package: "swift-system")],
    path: "Tests/Interop/Interpreter"),
  .executableTarget(
    name: "rehearse", dependencies: ["ModelCheckpoints", "ModelData", "ModelDetection", "ModelTraining"],
    path: "Tests/Interop/Rehearsal"),
  .executableTarget(name: "ranks", dependencies: ["ModelUtils"], path: "Tests/MPI/Ranks"),
  .target(name: "CFloors", path: "Tests/Benchmarks/Floors"),
  .executableTarget(
    name: "benchmark",
    dependencies: ["ModelUtils", "CKernels", "CFloors", .product(name: "SystemPackage", package: "swift-system")],
    path: "Tests/Benchmarks/Swift"),
  .executableTarget(
    name: "pictures-benchmark", dependencies: ["ModelUtils"], path: "Tests/Benchmarks/Pictures"),
]

let package = Package(
  name: "ModelUtils",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "ModelUtils", targets: ["ModelUtils"]),
    .executable(name: "mutils", targets: ["mutils"]),
  ],
  traits: [
    .trait(name: "MPI", description: "Ranks meet through Open MPI: mutils train, mutils zero-first, withRankZeroFirst"),
    .trait(name: "Fuzzing", description: "The executable fuzz is libFuzzer's: make fuzz"),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: ground + floors + tools + tests,
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c2x
)
