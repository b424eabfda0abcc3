/* What the core can only say in C. Each name has a plain-Python stand-in in native.py. */
#ifndef QUIESCE_NATIVE_H
#define QUIESCE_NATIVE_H

#include <Python.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Seconds on the monotonic clock (clock_gettime(2)), which time.monotonic() reads too. */
static inline double quiesce_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* A counter that is cheap enough to read between any two callbacks. On x86 the time-stamp
   counter runs at 1 GHz or more, so that QUIESCE_TICKS_PER_100_US is never more than 100 us. */
#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>
static inline long long quiesce_ticks(void) { return (long long)__rdtsc(); }
#else
static inline long long quiesce_ticks(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (long long)ts.tv_sec * 1000000000LL + ts.tv_nsec;
}
#endif
#define QUIESCE_TICKS_PER_100_US 100000LL

/* Whether the last send_in ended its coroutine. One flag serves the process: it is read,
   with the GIL held, before anything else can send. */
static int quiesce_has_returned;
static inline int quiesce_returned(void) { return quiesce_has_returned; }

/* Resume coro with None inside context: what it yields, or, if returned(), its return value. */
static PyObject *quiesce_send_in(PyObject *context, PyObject *coro) {
    PyObject *value = NULL;
    PySendResult outcome;
    if (PyContext_Enter(context) < 0)
        return NULL;
    outcome = PyIter_Send(coro, Py_None, &value);
    if (PyContext_Exit(context) < 0) {
        Py_XDECREF(value);
        return NULL;
    }
    quiesce_has_returned = outcome == PYGEN_RETURN;
    return value;
}

static inline int quiesce_leave(PyObject *context, PyObject *value) {
    Py_XDECREF(value);
    if (PyContext_Exit(context) < 0)
        return -1;
    return value == NULL ? -1 : 0;
}

/* Call callback(*args) inside context and drop what it returns. */
static int quiesce_call_in(PyObject *context, PyObject *callback, PyObject *args) {
    PyObject *value;
    Py_ssize_t count;
    if (args == Py_None) {
        /* A cancelled handle that somebody runs by hand. */
        PyErr_SetString(PyExc_TypeError, "Value after * must be an iterable, not NoneType");
        return -1;
    }
    count = PyTuple_GET_SIZE(args);
    if (PyContext_Enter(context) < 0)
        return -1;
    if (count <= 6)
        value = PyObject_Vectorcall(callback, ((PyTupleObject *)args)->ob_item, count, NULL);
    else
        value = PyObject_Call(callback, args, NULL);
    return quiesce_leave(context, value);
}

/* Leave StopIteration(value) set. The caller's bare `raise StopIteration` returns NULL
   without touching it, so that no traceback is made for a value that only passes. */
static inline int quiesce_stop_with(PyObject *value) {
    PyTypeObject *type = (PyTypeObject *)PyExc_StopIteration;
    PyObject *args, *stop;
    if (value == Py_None || (args = PyTuple_New(1)) == NULL)
        return 0;
    PyTuple_SET_ITEM(args, 0, Py_NewRef(value));
    stop = type->tp_new(type, args, NULL);
    Py_DECREF(args);
    if (stop == NULL)
        return 0;
    /* All that StopIteration.__init__ does beyond __new__. */
    ((PyStopIterationObject *)stop)->value = Py_NewRef(value);
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(stop);
#else
    PyErr_Restore(Py_NewRef(PyExc_StopIteration), stop, NULL);
#endif
    return 0;
}

/* Call a function without arguments, or with one. The bound method of a built-in type, such
   as a deque's append, is called where it is: nothing it does needs a recursion check. */
static inline PyObject *quiesce_call_none(PyObject *function) {
    if (PyCFunction_CheckExact(function) && PyCFunction_GET_FLAGS(function) == METH_NOARGS)
        return PyCFunction_GET_FUNCTION(function)(PyCFunction_GET_SELF(function), NULL);
    return PyObject_CallNoArgs(function);
}

static inline PyObject *quiesce_call_one(PyObject *function, PyObject *argument) {
    if (PyCFunction_CheckExact(function) && PyCFunction_GET_FLAGS(function) == METH_O)
        return PyCFunction_GET_FUNCTION(function)(PyCFunction_GET_SELF(function), argument);
    return PyObject_CallOneArg(function, argument);
}

/* Let a class have the methods of its extension type as its own. CPython (3.11 to 3.15) calls
   a built-in method the short way on instances of exactly the class that defines it. */
static int quiesce_adopt_methods(PyObject *subtype, PyObject *base, PyObject *names) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *inherited = PyObject_GetAttr(base, name), *own = NULL;
        int status = -1;
        if (inherited != NULL && Py_IS_TYPE(inherited, &PyMethodDescr_Type))
            own = PyDescr_NewMethod(
                (PyTypeObject *)subtype, ((PyMethodDescrObject *)inherited)->d_method);
        if (own != NULL)
            status = PyObject_SetAttr(subtype, name, own);
        Py_XDECREF(inherited);
        Py_XDECREF(own);
        if (status < 0)
            return -1;
    }
    return 0;
}

/* What object.__hash__ gives. */
static inline Py_hash_t quiesce_identity_hash(PyObject *thing) {
    size_t address = (size_t)thing;
    return (Py_hash_t)((address >> 4) | (address << (8 * sizeof(void *) - 4)));
}

/* Empty a list whose items are all None, and keep its memory for the next use. */
static int quiesce_truncate(PyObject *items) {
    Py_ssize_t count = PyList_GET_SIZE(items);
    if (((PyListObject *)items)->allocated > 4096)
        return PyList_SetSlice(items, 0, count, NULL);
#if PY_VERSION_HEX < 0x030C0000
    Py_SET_REFCNT(Py_None, Py_REFCNT(Py_None) - count);
#endif
    Py_SET_SIZE(items, 0);
    return 0;
}

/* Let instances of one extension type carry any attribute, as asyncio's futures do, in a
   dictionary that is made when the first is set. Cython's own `cdef dict __dict__` makes one
   for every new object. The dictionary's place is a plain pointer, so the collector learns
   of it here; the type's own __dealloc__ releases it. */
static Py_ssize_t quiesce_attributes_offset;
static traverseproc quiesce_traverse_fields;
static inquiry quiesce_clear_fields;
#define QUIESCE_ATTRIBUTES(o) (*(PyObject **)((char *)(o) + quiesce_attributes_offset))

static int quiesce_traverse(PyObject *o, visitproc visit, void *arg) {
    Py_VISIT(QUIESCE_ATTRIBUTES(o));
    return quiesce_traverse_fields(o, visit, arg);
}

static int quiesce_clear(PyObject *o) {
    Py_CLEAR(QUIESCE_ATTRIBUTES(o));
    return quiesce_clear_fields(o);
}

static PyGetSetDef quiesce_dict_getset = {
    "__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL};

static inline int quiesce_lazy_attributes(PyObject *object, Py_ssize_t offset) {
    PyTypeObject *type = (PyTypeObject *)object;
    PyObject *descriptor = PyDescr_NewGetSet(type, &quiesce_dict_getset);
    int status;
    if (descriptor == NULL)
        return -1;
    status = PyDict_SetItemString(type->tp_dict, "__dict__", descriptor);
    Py_DECREF(descriptor);
    if (status < 0)
        return -1;
    quiesce_attributes_offset = offset;
    quiesce_traverse_fields = type->tp_traverse;
    quiesce_clear_fields = type->tp_clear;
    type->tp_traverse = quiesce_traverse;
    type->tp_clear = quiesce_clear;
    type->tp_dictoffset = offset;
    PyType_Modified(type);
    return 0;
}

#define QUIESCE_LAZY_ATTRIBUTES(type, owner, field) \
    quiesce_lazy_attributes(type, (char *)&(field) - (char *)(owner))

/* A subtype that was made before its base got lazy attributes has to be told of them. */
static inline int quiesce_inherit_attributes(PyObject *subtype, PyObject *base) {
    ((PyTypeObject *)subtype)->tp_dictoffset = ((PyTypeObject *)base)->tp_dictoffset;
    PyType_Modified((PyTypeObject *)subtype);
    return 0;
}

/* Keep the memory of dead instances of one type for the next ones, as CPython does for its
   own small objects. (Cython's freelist directive is ignored in an augmenting .pxd.) Only
   exact instances are kept: Python subtypes have allocators of their own. A debugging
   allocator is to see every object, so there is no pool under PYTHONMALLOC. */
#define QUIESCE_POOL_SIZE 1024
#define QUIESCE_POOLS 4
static struct quiesce_pool {
    PyTypeObject *type;
    int count;
    PyObject *kept[QUIESCE_POOL_SIZE];
} quiesce_pools[QUIESCE_POOLS];

static inline struct quiesce_pool *quiesce_pool_of(PyTypeObject *type) {
    for (int i = 0; i < QUIESCE_POOLS; i++)
        if (quiesce_pools[i].type == type)
            return &quiesce_pools[i];
    return NULL;
}

static PyObject *quiesce_pool_alloc(PyTypeObject *type, Py_ssize_t count) {
    struct quiesce_pool *pool = quiesce_pool_of(type);
    if (pool == NULL || pool->count == 0)
        return PyType_GenericAlloc(type, count);
    PyObject *object = pool->kept[--pool->count];
    memset(object, 0, (size_t)type->tp_basicsize);
    PyObject_Init(object, type);
    PyObject_GC_Track(object);
    return object;
}

static void quiesce_pool_free(void *memory) {
    PyObject *object = (PyObject *)memory;
    struct quiesce_pool *pool = quiesce_pool_of(Py_TYPE(object));
    if (pool == NULL || pool->count == QUIESCE_POOL_SIZE) {
        PyObject_GC_Del(object);
        return;
    }
    /* The word before an untracked object holds nothing but "was finalized" (the second
       word of PyGC_Head, CPython 3.9 to 3.15): its next life has a finalizer to run, too. */
    ((uintptr_t *)object)[-1] = 0;
    pool->kept[pool->count++] = object;
}

static inline int quiesce_keep_freed(PyObject *object) {
    PyTypeObject *type = (PyTypeObject *)object;
    struct quiesce_pool *pool = quiesce_pool_of(NULL);
#if defined(Py_GIL_DISABLED) || defined(Py_TRACE_REFS) || PY_VERSION_HEX >= 0x03100000
    pool = NULL;
#endif
    if (pool == NULL || getenv("PYTHONMALLOC") != NULL)
        return 0;
    pool->type = type;
    type->tp_alloc = quiesce_pool_alloc;
    type->tp_free = quiesce_pool_free;
    return 0;
}

/* The fields of an extension type are zeroed by its allocation: nothing is left to do. */
static inline int quiesce_give_defaults(PyObject *type, PyObject *defaults) {
    (void)type;
    (void)defaults;
    return 0;
}

#endif
